"""Remembers scores and vectors, so that the same pair or text is not computed twice."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ragthrift.errors import ConfigurationError
from ragthrift.models.base import Embedder, Role, Scorer, Vector, aembed, ascore

Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """The `size` most recently used values."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[_Recent[Value]], tuple[int]]:
        return type(self), (self._size,)  # a copy, like a pickle, starts empty: locks cannot travel

    def known(self, keys: Sequence[Hashable]) -> dict[Hashable, Value]:
        with self._lock:
            found = {key: self._values[key] for key in keys if key in self._values}
            for key in found:
                self._values.move_to_end(key)
        return found

    def keep(self, values: dict[Hashable, Value]) -> None:
        with self._lock:
            self._values.update(values)
            for key in values:
                self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)


@dataclass(frozen=True, slots=True)
class CachedScorer:
    """A scorer that asks `scorer` only for pairs it has not scored lately.

    Use it with scorers that look at each text alone: neither BM25, whose scores depend on the other texts of the call,
    nor a listwise reranker can be cached pair by pair.
    """

    scorer: Scorer
    size: int = 10_000
    _recent: _Recent[float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_recent", _Recent[float](_checked(self.size)))

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The score of each text, from memory where possible."""
        keys, known, missing = self._look(query, texts)
        return self._fill(keys, known, missing, self.scorer.score(query, list(missing.values())) if missing else ())

    async def ascore(self, query: str, texts: Sequence[str]) -> list[float]:
        """The score of each text, from memory where possible."""
        keys, known, missing = self._look(query, texts)
        scores = await ascore(self.scorer, query, list(missing.values())) if missing else ()
        return self._fill(keys, known, missing, scores)

    def _look(
        self, query: str, texts: Sequence[str]
    ) -> tuple[list[Hashable], dict[Hashable, float], dict[Hashable, str]]:
        keys: list[Hashable] = [_key(query, text) for text in texts]
        known = self._recent.known(keys)
        return keys, known, {key: text for key, text in zip(keys, texts, strict=True) if key not in known}

    def _fill(
        self,
        keys: list[Hashable],
        known: dict[Hashable, float],
        missing: dict[Hashable, str],
        scores: Sequence[float],
    ) -> list[float]:
        new = dict(zip(missing, (float(score) for score in scores), strict=True))
        self._recent.keep(new)
        return [(known | new)[key] for key in keys] if new else [known[key] for key in keys]


@dataclass(frozen=True, slots=True)
class CachedEmbedder:
    """An embedder that asks `embedder` only for texts it has not embedded lately in the same role."""

    embedder: Embedder
    size: int = 10_000
    _recent: _Recent[Vector] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_recent", _Recent[Vector](_checked(self.size)))

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> list[Vector]:
        """The vector of each text, from memory where possible."""
        keys, known, missing = self._look(texts, role)
        vectors = self.embedder.embed(list(missing.values()), role=role) if missing else ()
        return self._fill(keys, known, missing, vectors)

    async def aembed(self, texts: Sequence[str], *, role: Role = "passage") -> list[Vector]:
        """The vector of each text, from memory where possible."""
        keys, known, missing = self._look(texts, role)
        vectors = await aembed(self.embedder, list(missing.values()), role=role) if missing else ()
        return self._fill(keys, known, missing, vectors)

    def _look(
        self, texts: Sequence[str], role: Role
    ) -> tuple[list[Hashable], dict[Hashable, Vector], dict[Hashable, str]]:
        keys: list[Hashable] = [_key(role, text) for text in texts]
        known = self._recent.known(keys)
        return keys, known, {key: text for key, text in zip(keys, texts, strict=True) if key not in known}

    def _fill(
        self,
        keys: list[Hashable],
        known: dict[Hashable, Vector],
        missing: dict[Hashable, str],
        vectors: Sequence[Vector],
    ) -> list[Vector]:
        new: dict[Hashable, Vector] = dict(zip(missing, (tuple(vector) for vector in vectors), strict=True))
        self._recent.keep(new)
        return [(known | new)[key] for key in keys]


def _key(first: str, text: str) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    head = first.encode("utf-8", "surrogatepass")
    digest.update(len(head).to_bytes(8, "little") + head)
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _checked(size: int) -> int:
    if size < 1:
        raise ConfigurationError(f"size must be 1 or more, got {size!r}")
    return size
