"""Embedders and cross-encoders on ONNX Runtime: a `model.onnx` and a `tokenizer.json`, no torch.

**Batches.** A dynamically quantised (int8) model scales its activations over the whole batch, so a text's result
depends on what else is in the batch: the same pair scored alone and among others was seen to differ by up to 0.8
logits. By default every text is therefore run alone, several at a time on `threads` single-threaded workers: results
depend on the text only, whatever the order, the company and the number of threads, so they may be cached and
thresholded. It is also the fastest way on a CPU, because short texts pay for no padding: on 2 cores 1.0 to 1.1 times
the throughput of batches of 512 tokens, 1.4 to 2 times that of 2,048 tokens. `batch_tokens` packs texts of similar
length into such batches for models and machines where that pays.

**Long texts** are cut after `max_tokens` tokens, which for a cross-encoder counts query and text together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from ragthrift.errors import ConfigurationError, MissingExtra, MissingModel
from ragthrift.models.base import Role
from ragthrift.models.catalogue import CATALOGUE, files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pooling = Literal["mean", "cls"]
Text = TypeVar("Text", str, tuple[str, str])

CHARS_PER_TOKEN = 64
"""Text beyond this many characters per allowed token is not even tokenised: one huge text must not stall the rest."""

# Pooling and query prefix as the makers of the models prescribe.
_HABITS: dict[str, tuple[Pooling, str]] = {
    "bge-small-en-v1.5-int8": ("cls", "Represent this sentence for searching relevant passages: "),
}


@dataclass(frozen=True, slots=True)
class OnnxEmbedder:
    """Embeds with a catalogue model or a folder that holds `model.onnx` and `tokenizer.json`.

    Pooling and query prefix are the model's own for a catalogue name, and mean and none for a folder. The model opens
    on first use and is shared by all embedders with equal settings.
    """

    model: str = "all-MiniLM-L6-v2-int8"
    folder: str | None = None
    max_tokens: int = 256
    pooling: Pooling | None = None
    query_prefix: str | None = None
    threads: int | None = None
    batch_tokens: int | None = None

    def __post_init__(self) -> None:
        _check(self.max_tokens, self.threads, self.batch_tokens)
        if self.pooling not in (None, "mean", "cls"):
            raise ConfigurationError(f"pooling must be 'mean' or 'cls', got {self.pooling!r}")

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> list[list[float]]:
        """A unit vector for each text."""
        pooling, prefix = _HABITS.get(self.model, ("mean", ""))
        prefix = prefix if self.query_prefix is None else self.query_prefix
        if role == "query" and prefix:
            texts = [prefix + text for text in texts]
        pool = _cls if (self.pooling or pooling) == "cls" else _mean
        limit = self.max_tokens * CHARS_PER_TOKEN
        vectors = _run(self, [_clean(text, limit) for text in texts], lambda out, mask: _unit(pool(out, mask)))
        return [cast("list[float]", vector.tolist()) for vector in vectors]


@dataclass(frozen=True, slots=True)
class OnnxScorer:
    """Scores with a catalogue cross-encoder or a folder that holds `model.onnx` and `tokenizer.json`.

    Scores are raw logits; `Calibrated` turns them into probabilities. The model opens on first use and is shared by
    all scorers with equal settings.
    """

    model: str = "ms-marco-MiniLM-L-12-v2-int8"
    folder: str | None = None
    max_tokens: int = 256
    threads: int | None = None
    batch_tokens: int | None = None

    def __post_init__(self) -> None:
        _check(self.max_tokens, self.threads, self.batch_tokens)

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The logit of each text."""
        limit = self.max_tokens * CHARS_PER_TOKEN
        asked = _clean(query, limit)
        return [float(row[0]) for row in _run(self, [(asked, _clean(text, limit)) for text in texts], _logits)]


@dataclass(frozen=True, slots=True)
class _Opened:
    session: Any
    tokenizer: Any
    inputs: frozenset[str]


_opening = threading.Lock()


def _run(
    settings: OnnxEmbedder | OnnxScorer,
    texts: Sequence[Text],
    finish: Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]],
) -> list[NDArray[np.float32]]:
    """One finished row per text, in order."""
    if not texts:
        return []
    with _opening:
        opened = _open(settings.model, settings.folder, settings.max_tokens, os.environ.get("RAGTHRIFT_MODELS"))
    encoded = cast("list[Any]", opened.tokenizer.encode_batch(list(texts)))
    batches = _batches([len(item.ids) for item in encoded], settings.batch_tokens)

    def forward(batch: list[int]) -> NDArray[np.float32]:
        inputs = _inputs([encoded[at] for at in batch])
        output = opened.session.run(None, {name: inputs[name] for name in opened.inputs})[0]
        return finish(output, inputs["attention_mask"])

    rows: dict[int, NDArray[np.float32]] = {}
    for batch, result in zip(batches, _spread(forward, batches, settings.threads), strict=True):
        rows.update(zip(batch, result, strict=True))
    return [rows[at] for at in range(len(texts))]


def _spread(
    work: Callable[[list[int]], NDArray[np.float32]], batches: list[list[int]], threads: int | None
) -> list[NDArray[np.float32]]:
    workers = min(threads or _cores(), len(batches))
    if workers == 1:
        return [work(batch) for batch in batches]
    with ThreadPoolExecutor(workers, "ragthrift-onnx") as pool:
        return list(pool.map(work, batches))


def _cores() -> int:
    # the cores this process may use, which in a container are often fewer than the machine has
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batches(lengths: list[int], batch_tokens: int | None) -> list[list[int]]:
    """Places of texts, longest first, so that a batch holds similar lengths and no worker ends on the longest text."""
    batches: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        if batch_tokens and batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= batch_tokens:
            batches[-1].append(at)
        else:
            batches.append([at])
    return batches


def _inputs(encoded: list[Any]) -> dict[str, NDArray[np.int64]]:
    import numpy as np

    shape = (len(encoded), max(len(item.ids) for item in encoded))
    inputs = {name: np.zeros(shape, np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
    for row, item in enumerate(encoded):
        length = len(item.ids)
        inputs["input_ids"][row, :length] = item.ids
        inputs["attention_mask"][row, :length] = 1
        inputs["token_type_ids"][row, :length] = item.type_ids
    return inputs


def _mean(output: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    weights = mask[:, :, None].astype(output.dtype)
    return (output * weights).sum(axis=1) / weights.sum(axis=1)


def _cls(output: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    return output[:, 0]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _logits(output: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    if output.size != len(mask):
        raise ConfigurationError(f"a scorer needs a model with one number per text, this one gives {output.shape[1:]}")
    return output.reshape(len(mask), 1)


def _clean(text: str, limit: int) -> str:
    # A lone surrogate, which JSON can carry, has no UTF-8 form and the tokenizer refuses it.
    return text[:limit].encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=8)
def _open(name: str, folder: str | None, max_tokens: int, environment: str | None) -> _Opened:
    """The session and tokenizer; `environment` is part of the key so that a change of the models folder is seen."""
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra(f'the model {name!r} needs onnxruntime: pip install "ragthrift[onnx]"') from error
    paths = _paths(name, folder)
    runtime = cast("Any", onnxruntime)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # texts run side by side instead
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(paths["model.onnx"]), options, providers=["CPUExecutionProvider"])
    tokenizer = cast("Any", Tokenizer.from_file(str(paths["tokenizer.json"])))
    tokenizer.no_padding()  # files often carry a fixed padding to 512 tokens
    tokenizer.enable_truncation(max_tokens)
    return _Opened(session, tokenizer, frozenset(item.name for item in session.get_inputs()))


def _paths(name: str, folder: str | None) -> dict[str, Path]:
    if name in CATALOGUE:
        found = files(name, folder)
        if "model.onnx" not in found:
            usable = sorted(entry for entry, model in CATALOGUE.items() if model.files[0].path == "model.onnx")
            raise ConfigurationError(f"{name!r} is not an ONNX model: use one of {', '.join(usable)}")
        return found
    home = Path(name).expanduser()
    found = {file: home / file for file in ("model.onnx", "tokenizer.json")}
    for path in found.values():
        if not path.is_file():
            raise MissingModel(
                f"no file {str(path)!r}: {name!r} must be a folder with model.onnx and tokenizer.json, or one of "
                f"{', '.join(sorted(CATALOGUE))}"
            )
    return found


def _check(max_tokens: int, threads: int | None, batch_tokens: int | None) -> None:
    if max_tokens < 8:
        raise ConfigurationError(f"max_tokens must be 8 or more, got {max_tokens!r}")
    if threads is not None and threads < 1:
        raise ConfigurationError(f"threads must be 1 or more, or None for one per core, got {threads!r}")
    if batch_tokens is not None and batch_tokens < 1:
        raise ConfigurationError(
            f"batch_tokens must be 1 or more, or None to run each text alone, got {batch_tokens!r}"
        )
