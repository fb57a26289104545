"""Keeps the sentences of each passage that are near the query: what `SentenceEmbeddingOptimizer` does.

Unlike `Compressor` it looks at each passage alone and knows neither budgets nor links between passages.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ragthrift.errors import ConfigurationError, RemoteError
from ragthrift.models import Embedder, Role, Vector, aembed
from ragthrift.plan import arun, run
from ragthrift.text import units
from ragthrift.tokens import Approximate, TokenCounter, render
from ragthrift.types import Decision, Lean, Passage, Reason, Receipt, Span

Ask = tuple[tuple[str, ...], Role]
Vectors = Sequence[Vector]
COUNTER = Approximate()
Rows = list[list[Decision]]
ODD_SPLIT = "tokenizer_fn gave pieces that are not in the text in this order: such a text was cut by the default rules"


@dataclass(frozen=True, slots=True)
class SentenceFilter:
    """Keeps, of each passage, the sentences nearest to the query, once each, verbatim and in order.

    `share` caps how many of a passage's sentences count as near, at least one; `threshold` is the cosine similarity
    that they must exceed. Each brings the `before` and `after` sentences around it. A passage none of whose sentences
    passes is dropped, but of all passages at least the nearest sentence stays. `split` cuts a text into pieces that
    occur in it in this order; without it, and where they do not occur, sentences, table rows, list items and code
    blocks are told apart. `asked` are the texts whose mean vector stands for the query, if not the query itself.
    """

    embedder: Embedder
    share: float | None = None
    threshold: float | None = None
    before: int = 1
    after: int = 1
    split: Callable[[str], Sequence[str]] | None = None
    asked: tuple[str, ...] = ()
    counter: TokenCounter = COUNTER

    def __post_init__(self) -> None:
        if self.share is not None and not 0 <= self.share <= 1:
            raise ConfigurationError(f"percentile_cutoff must lie between 0 and 1, got {self.share!r}")
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise ConfigurationError(f"threshold_cutoff is a cosine between -1 and 1, got {self.threshold!r}")
        for name, value in (("context_before", self.before), ("context_after", self.after)):
            if value < 0:
                raise ConfigurationError(f"{name} must be 0 or more, got {value!r}")

    def lean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """The passages with their near sentences."""
        return run(self._plan(query, passages), lambda ask: self.embedder.embed(ask[0], role=ask[1]))

    async def alean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """`lean`, awaiting the embedder."""
        return await arun(self._plan(query, passages), lambda ask: aembed(self.embedder, ask[0], role=ask[1]))

    def _plan(self, query: str, passages: Sequence[Passage]) -> Generator[Ask, Vectors, Lean]:
        began = time.perf_counter()
        given = tuple(replace(passage, index=index, spans=()) for index, passage in enumerate(passages))
        found = [_pieces(passage.text, self.split) for passage in given]
        sentences = [spans for spans, _ in found]
        cut = any(sentences) and not (self.share is None and self.threshold is None)
        similar: list[list[float]] = [[1.0] * len(spans) for spans in sentences]
        if cut:
            asked = _mean((yield self.asked or (query,), "query"))
            texts = tuple(p.text[s.start : s.end] for p, spans in zip(given, sentences, strict=True) for s in spans)
            scores = iter(_similar(asked, (yield texts, "passage"), len(texts)))
            similar = [[next(scores) for _ in spans] for spans in sentences]
        rows = [
            self._decided(passage.index, spans, scores)
            for passage, spans, scores in zip(given, sentences, similar, strict=True)
        ]
        if cut and not any(decision.kept for row in rows for decision in row):
            _keep_nearest(rows)
        receipt = Receipt(
            decisions=tuple(decision for row in rows for decision in row),
            fallbacks=(ODD_SPLIT,) if any(odd for _, odd in found) else (),
            scored_pairs=sum(map(len, rows)) if cut else 0,
            possible_pairs=sum(map(len, rows)),
            elapsed_ms=(time.perf_counter() - began) * 1000,
        )
        return self._lean(given, rows, receipt)

    def _decided(self, index: int, spans: Sequence[Span], scores: Sequence[float]) -> list[Decision]:
        """Each sentence of one passage: near, around a near one, or neither."""
        near = {i for i, score in enumerate(scores) if self.threshold is None or score > self.threshold}
        if self.share is not None:
            most = max(1, int(len(spans) * self.share))
            near = set(sorted(near, key=lambda i: -scores[i])[:most])
        around = {j for i in near for j in range(i - self.before, i + self.after + 1)} - near
        reasons: list[Reason] = ["repair" if i in around else "irrelevant" for i in range(len(spans))]
        for i in near:
            reasons[i] = "kept"
        return [
            Decision(index, span, reason != "irrelevant", reason, score)
            for span, reason, score in zip(spans, reasons, scores, strict=True)
        ]

    def _lean(self, given: tuple[Passage, ...], rows: Rows, receipt: Receipt) -> Lean:
        kept: list[Passage] = []
        for passage, row in zip(given, rows, strict=True):
            if all(decision.kept for decision in row):
                kept.append(passage)
            elif any(decision.kept for decision in row):
                kept.append(_excerpt(passage, row))
        held = {passage.index for passage in kept}
        return Lean(
            tuple(kept),
            tuple(passage for passage in given if passage.index not in held),
            self.counter.count(render(given)),
            self.counter.count(render(kept)),
            receipt,
        )


def _pieces(text: str, split: Callable[[str], Sequence[str]] | None) -> tuple[list[Span], bool]:
    """The ranges of the sentences of a text, and whether `split` gave something that is not in the text."""
    own = [Span(unit.start, unit.end) for unit in units(text)] if split is None else []
    if split is None:
        return own, False
    at = 0
    for piece in filter(None, map(str.strip, split(text))):
        start = text.find(piece, at)
        if start < 0:
            return _pieces(text, None)[0], True
        at = start + len(piece)
        own.append(Span(start, at))
    return own, False


def _keep_nearest(rows: Rows) -> None:
    """Keep the one nearest sentence of all."""
    row, at = max(((row, at) for row in rows for at in range(len(row))), key=lambda place: place[0][place[1]].score)
    row[at] = replace(row[at], kept=True, reason="kept")


def _excerpt(passage: Passage, row: Sequence[Decision]) -> Passage:
    """The passage with its kept sentences; neighbours keep what stands between them, a gap becomes one character."""
    spans: list[Span] = []
    previous = False
    for decision in row:
        if decision.kept and previous:
            spans[-1] = Span(spans[-1].start, decision.span.end)
        elif decision.kept:
            spans.append(decision.span)
        previous = decision.kept
    text = passage.text[spans[0].start : spans[0].end]
    for before, span in pairwise(spans):
        text += "\n" if "\n" in passage.text[before.end : span.start] else " "
        text += passage.text[span.start : span.end]
    return replace(passage, text=text, spans=tuple(spans))


def _mean(vectors: Vectors) -> list[float]:
    """The direction of the mean, at unit length."""
    total = [sum(column) for column in zip(*vectors, strict=True)]
    length = math.sqrt(sum(x * x for x in total)) or 1.0
    return [x / length for x in total]


def _similar(asked: Sequence[float], vectors: Vectors, texts: int) -> list[float]:
    scores = [float(sum(a * b for a, b in zip(asked, vector, strict=True))) for vector in vectors]
    if len(scores) != texts or not all(map(math.isfinite, scores)):
        raise RemoteError(f"the embedding model gave {len(scores)} vectors for {texts} texts, or some not finite")
    return scores
