"""Embedders and cross-encoders on torch, through sentence-transformers: any folder or hub id that the user names.

Weights are loaded as sentence-transformers does it, with remote code always refused. The hub is asked only when the
model is first used, and not at all for a folder.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from ragthrift.errors import ConfigurationError, MissingExtra
from ragthrift.models.base import Role

# One thread at a time: the tokenizers below change their own padding and truncation while they run.
_running = threading.RLock()


@dataclass(frozen=True, slots=True)
class TorchEmbedder:
    """Embeds with a sentence-transformers model, for example the catalogue's `all-MiniLM-L6-v2` by its folder.

    `query_prefix` goes in front of queries; None leaves that to the model's own prompts.
    """

    model: str
    device: str | None = None
    max_tokens: int | None = None
    batch: int = 16
    query_prefix: str | None = None

    def __post_init__(self) -> None:
        _check(self.max_tokens, self.batch)

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> list[list[float]]:
        """A unit vector for each text."""
        if not texts:
            return []
        with _running:
            encoder = _embedder(self.model, self.device, self.max_tokens)
            asking = role == "query"
            if asking and self.query_prefix is not None:
                texts = [self.query_prefix + text for text in texts]
            encode = encoder.encode_query if asking and self.query_prefix is None else encoder.encode
            vectors = encode(
                [_clean(text) for text in texts],
                batch_size=self.batch,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return cast("list[list[float]]", vectors.tolist())


@dataclass(frozen=True, slots=True)
class TorchScorer:
    """Scores with a sentence-transformers cross-encoder that gives one number per pair; scores are raw logits."""

    model: str
    device: str | None = None
    max_tokens: int | None = None
    batch: int = 16

    def __post_init__(self) -> None:
        _check(self.max_tokens, self.batch)

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The logit of each text."""
        if not texts:
            return []
        with _running:
            encoder = _scorer(self.model, self.device, self.max_tokens)
            asked = _clean(query)
            scores = encoder.predict(
                [(asked, _clean(text)) for text in texts],
                batch_size=self.batch,
                activation_fn=_identity(),
                show_progress_bar=False,
            )
        if scores.ndim != 1:
            raise ConfigurationError(f"{self.model!r} gives {scores.shape[1]} numbers per pair, a scorer needs one")
        return cast("list[float]", scores.tolist())


@lru_cache(maxsize=4)
def _embedder(model: str, device: str | None, max_tokens: int | None) -> Any:
    encoder = _library().SentenceTransformer(model, device=device, trust_remote_code=False)
    if max_tokens is not None:
        encoder.max_seq_length = max_tokens
    return encoder


@lru_cache(maxsize=4)
def _scorer(model: str, device: str | None, max_tokens: int | None) -> Any:
    encoder = _library().CrossEncoder(model, device=device, trust_remote_code=False)
    if max_tokens is not None:
        encoder.max_seq_length = max_tokens
    return encoder


def _library() -> Any:
    try:
        import sentence_transformers
    except ImportError as error:
        raise MissingExtra('torch models need sentence-transformers: pip install "ragthrift[torch]"') from error
    return sentence_transformers


def _identity() -> Any:
    from torch import nn

    return nn.Identity()


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be tokenised


def _check(max_tokens: int | None, batch: int) -> None:
    if max_tokens is not None and max_tokens < 8:
        raise ConfigurationError(f"max_tokens must be 8 or more, or None for the model's own, got {max_tokens!r}")
    if batch < 1:
        raise ConfigurationError(f"batch must be 1 or more, got {batch!r}")
