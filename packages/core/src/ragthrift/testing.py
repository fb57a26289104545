"""Doubles that need no model, and conformance checks for scorers and embedders of your own."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from ragthrift.errors import ConfigurationError
from ragthrift.models.base import Embedder, Role, Scorer, Vector, aembed, ascore
from ragthrift.models.lexical import words

Result = TypeVar("Result")

_QUERY = "When was the Eiffel Tower completed?"
_TEXTS = (
    "The Eiffel Tower was completed on 31 March 1889.",
    "A recipe for onion soup.",
    "",
    "  \n\t ",
    "埃菲尔铁塔于1889年建成。 👩‍🚀 e\u0301",
    "The Eiffel Tower was completed on 31 March 1889.",
    "tower " * 2000,
)


@dataclass(frozen=True)
class FixedScorer:
    """A scorer whose answers are given: by text, or by place in the list; `default` for all that is not given."""

    scores: Mapping[str, float] | Sequence[float]
    default: float = 0.0

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The given score of each text."""
        if isinstance(self.scores, Mapping):
            return [float(self.scores.get(text, self.default)) for text in texts]
        return [float(self.scores[at]) if at < len(self.scores) else self.default for at in range(len(texts))]


@dataclass(frozen=True, slots=True)
class HashEmbedder:
    """An embedder with no model: each word adds to a direction that its hash picks, so shared words mean nearness."""

    dimensions: int = 256

    def __post_init__(self) -> None:
        if self.dimensions < 2:
            raise ConfigurationError(f"dimensions must be 2 or more, got {self.dimensions!r}")

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> list[list[float]]:
        """A unit vector for each text."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in words(text):
            number = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")
            vector[(number >> 1) % self.dimensions] += 1.0 if number & 1 else -1.0
        length = math.sqrt(sum(x * x for x in vector))
        if not length:  # no words, or words that cancel out: still a unit vector, the same one every time
            return [1.0] + [0.0] * (self.dimensions - 1)
        return [x / length for x in vector]


def check_scorer(make: Callable[[], Scorer], *, tolerance: float = 1e-4) -> None:
    """Raise AssertionError unless the scorer that `make` builds keeps the contract of `Scorer`.

    One finite number per text, in order; nothing for nothing; the same answers again, from another instance, and when
    awaited; the caller's list left alone. Scores may depend on the other texts of the call, but not on their order.
    """
    scorer = make()
    assert isinstance(scorer, Scorer), f"{scorer!r} has no method score(query, texts)"
    texts = list(_TEXTS)
    scores = [float(score) for score in scorer.score(_QUERY, texts)]
    assert texts == list(_TEXTS), "score() changed the list it was given"
    assert len(scores) == len(texts), f"{len(scores)} scores for {len(texts)} texts"
    assert all(math.isfinite(score) for score in scores), f"scores must be finite numbers, got {scores}"
    assert len(scorer.score(_QUERY, [])) == 0, "no texts must give no scores"
    assert len(scorer.score("", texts)) == len(texts), "an empty query must still give one score per text"
    _same([scores], [scorer.score(_QUERY, tuple(texts))], tolerance, "a second call")
    _same([scores], [make().score(_QUERY, texts)], tolerance, "another instance")
    _same([scores], [_awaited(ascore(scorer, _QUERY, texts))], tolerance, "the awaited call")


def check_embedder(make: Callable[[], Embedder], *, tolerance: float = 1e-4) -> None:
    """Raise AssertionError unless the embedder that `make` builds keeps the contract of `Embedder`.

    One unit vector per text, in order, all of one length; nothing for nothing; the same answers again, from another
    instance, in another order, and when awaited; the caller's list left alone.
    """
    embedder = make()
    assert isinstance(embedder, Embedder), f"{embedder!r} has no method embed(texts, role=...)"
    texts = list(_TEXTS)
    vectors = embedder.embed(texts)
    assert texts == list(_TEXTS), "embed() changed the list it was given"
    assert len(vectors) == len(texts), f"{len(vectors)} vectors for {len(texts)} texts"
    assert len({len(vector) for vector in vectors}) == 1, "vectors must all have the same length"
    for at, vector in enumerate(vectors):
        length = math.sqrt(sum(float(x) ** 2 for x in vector))
        assert abs(length - 1) < 1e-3, f"vector {at} has length {length}, not 1"
    assert len(embedder.embed([])) == 0, "no texts must give no vectors"
    assert len(embedder.embed([_QUERY], role="query")) == 1, "role='query' must work"
    _same(vectors, embedder.embed(tuple(texts)), tolerance, "a second call")
    _same(vectors, make().embed(texts), tolerance, "another instance")
    _same(vectors, list(reversed(embedder.embed(texts[::-1]))), tolerance, "the reversed list")
    _same(vectors, _awaited(aembed(embedder, texts)), tolerance, "the awaited call")


def _same(first: Sequence[Vector], second: Sequence[Vector], tolerance: float, what: str) -> None:
    assert len(first) == len(second), f"{what} gave {len(second)} results, not {len(first)}"
    for at, (one, other) in enumerate(zip(first, second, strict=True)):
        gap = max((abs(float(a) - float(b)) for a, b in zip(one, other, strict=True)), default=0.0)
        assert gap <= tolerance, f"{what} differs by {gap} at {at}"


def _awaited(work: Coroutine[Any, Any, Result]) -> Result:
    # In a thread of its own, so that the checks also run inside a test that has an event loop.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
