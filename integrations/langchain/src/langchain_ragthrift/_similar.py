"""The engines behind the replacements for LangChain's embedding filters."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from langchain_core.embeddings import Embeddings

from ragthrift.duplicates import NEGATIONS, fact
from ragthrift.tokens import Approximate, render
from ragthrift.types import Decision, Lean, Passage, Reason, Receipt, Span

Matrix = Sequence[Sequence[float]]
Similarity = Callable[[Any, Any], Any]
"""Takes two matrices, lists of vectors or arrays, and gives the matrix of the similarities of their rows."""

OnEmpty = Literal["keep_top1", "pass_through", "abstain"]


@dataclass(frozen=True, slots=True)
class Nearest:
    """Keeps the `k` passages most similar to the query, of those above `threshold`, most similar first."""

    embeddings: Embeddings
    similarity: Similarity
    k: int | None
    threshold: float | None
    on_empty: OnEmpty

    def lean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """The nearest passages, each with its similarity as score."""
        if not passages:
            return _result(passages, (), {})
        vectors = self.embeddings.embed_documents([passage.text for passage in passages])
        return self._chosen(self.embeddings.embed_query(query), vectors, passages)

    async def alean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """`lean`, awaiting the embeddings."""
        if not passages:
            return _result(passages, (), {})
        vectors = await self.embeddings.aembed_documents([passage.text for passage in passages])
        return self._chosen(await self.embeddings.aembed_query(query), vectors, passages)

    def _chosen(self, asked: Sequence[float], vectors: Matrix, passages: Sequence[Passage]) -> Lean:
        scores = _row(self.similarity, asked, vectors)
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        ranked = [
            replace(passages[place], score=scores[place] if math.isfinite(scores[place]) else None) for place in order
        ]
        reasons: dict[int, Reason] = {}
        if self.k is not None:
            reasons |= {passage.index: "top_n" for passage in ranked[self.k :]}
        if self.threshold is not None:
            reasons |= {passages[i].index: "irrelevant" for i in order if not scores[i] > self.threshold}
        if len(reasons) == len(ranked):
            if self.on_empty == "pass_through":
                return _result(passages, passages, {})
            if self.on_empty == "keep_top1":
                reasons.pop(ranked[0].index)
        return _result(ranked, [passage for passage in ranked if passage.index not in reasons], reasons)


@dataclass(frozen=True, slots=True)
class Distinct:
    """Keeps the earliest of passages that are more similar than `threshold` and state the same facts.

    Vectors of "rose to 12 million in 2023" and "rose to 15 million in 2024" are nearly equal. Where numbers, negations
    or names differ, both passages stay.
    """

    embeddings: Embeddings
    similarity: Similarity
    threshold: float

    def lean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """The distinct passages in their order; the query plays no part."""
        texts = [passage.text for passage in passages]
        return self._chosen(self.embeddings.embed_documents(texts) if texts else [], passages)

    async def alean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """`lean`, awaiting the embeddings."""
        texts = [passage.text for passage in passages]
        return self._chosen(await self.embeddings.aembed_documents(texts) if texts else [], passages)

    def _chosen(self, vectors: Matrix, passages: Sequence[Passage]) -> Lean:
        said = [_facts(passage.text) for passage in passages]
        kept: list[int] = []
        reasons: dict[int, Reason] = {}
        for index, passage in enumerate(passages):
            likeness = _row(self.similarity, vectors[index], [vectors[other] for other in kept]) if kept else []
            alike = zip(kept, likeness, strict=True)
            if any(value > self.threshold and said[other] == said[index] for other, value in alike):
                reasons[passage.index] = "duplicate"
            else:
                kept.append(index)
        return _result(passages, [passages[index] for index in kept], reasons)


def cosine(left: Matrix, right: Matrix) -> Matrix:
    """The cosine of each vector of `left` with each of `right`, 0 with one that has no direction."""
    try:
        import numpy as np
    except ImportError:
        rows = [_normal(vector) for vector in left]
        columns = [_normal(vector) for vector in right]
        return [[math.fsum(map(float.__mul__, row, column)) for column in columns] for row in rows]
    lengths = [np.linalg.norm(np.asarray(matrix, np.float64), axis=1, keepdims=True) for matrix in (left, right)]
    units = [
        np.asarray(matrix, np.float64) / np.where(length > 0, length, 1.0)
        for matrix, length in zip((left, right), lengths, strict=True)
    ]
    return cast("Matrix", units[0] @ units[1].T)


def _normal(vector: Sequence[float]) -> list[float]:
    numbers = [float(x) for x in vector]
    length = math.hypot(*numbers) or 1.0
    return [x / length for x in numbers]


def _row(similarity: Similarity, vector: Sequence[float], vectors: Matrix) -> list[float]:
    """The similarity of `vector` to each of `vectors`; what is not a number counts as unlike."""
    values = [float(value) for value in similarity([vector], vectors)[0]]
    if len(values) != len(vectors):
        raise ValueError(f"the similarity function gave {len(values)} values for {len(vectors)} vectors")
    return [-math.inf if math.isnan(value) else value for value in values]


_INSIDE = re.compile(r"(?<=[\w,] )\w+")


def _facts(text: str) -> tuple[object, ...]:
    """What must agree between duplicates: numbers, negations and signs in order, and the names inside sentences."""
    names = {word for word in _INSIDE.findall(text) if word[0].isupper()}
    return [part for part in fact(text) if _decisive(part)], names


def _decisive(part: str) -> bool:
    return part in NEGATIONS or any(map(str.isdigit, part)) or not any(map(str.isalnum, part))


def _result(ranked: Sequence[Passage], kept: Sequence[Passage], reasons: dict[int, Reason]) -> Lean:
    counter = Approximate()
    decisions = tuple(
        Decision(p.index, Span(0, len(p.text)), p.index not in reasons, reasons.get(p.index, "kept"), p.score or 0.0)
        for p in ranked
    )
    return Lean(
        tuple(kept),
        tuple(passage for passage in ranked if passage.index in reasons),
        counter.count(render(ranked)),
        counter.count(render(kept)),
        Receipt(decisions),
        abstained=not kept,
    )
