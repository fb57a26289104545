"""The seams to neural models: what an embedder and a scorer are, and how to call any of them without blocking."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Literal, Protocol, cast, runtime_checkable

Role = Literal["query", "passage"]
Vector = Sequence[float]


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of unit length, one per text, in order.

    An embedder that has a coroutine method `aembed` of the same signature is awaited in async code; any other runs in
    a thread there.
    """

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> Sequence[Vector]: ...


@runtime_checkable
class Scorer(Protocol):
    """Scores how well each text answers the query, in order; higher is better, on any scale.

    A scorer that has a coroutine method `ascore` of the same signature is awaited in async code; any other runs in a
    thread there.
    """

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]: ...


@runtime_checkable
class SpanScorer(Protocol):
    """Finds the relevant `(start, end, score)` code-point ranges of each text: Cohere's `relevant_spans`."""

    def relevant_spans(self, query: str, texts: Sequence[str]) -> Sequence[Sequence[tuple[int, int, float]]]: ...


async def ascore(scorer: Scorer, query: str, texts: Sequence[str]) -> Sequence[float]:
    """The scores of `scorer`, awaited where it can be awaited, from a thread where it cannot."""
    native = getattr(scorer, "ascore", None)
    if native is None:
        return await asyncio.to_thread(scorer.score, query, texts)
    return await cast("Awaitable[Sequence[float]]", native(query, texts))


async def aembed(embedder: Embedder, texts: Sequence[str], *, role: Role = "passage") -> Sequence[Vector]:
    """The vectors of `embedder`, awaited where it can be awaited, from a thread where it cannot."""
    native = getattr(embedder, "aembed", None)
    if native is None:
        return await asyncio.to_thread(lambda: embedder.embed(texts, role=role))
    return await cast("Awaitable[Sequence[Vector]]", native(texts, role=role))
