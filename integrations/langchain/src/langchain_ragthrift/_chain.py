"""Several engines in a row as one engine: rerank, then compress."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from ragthrift.errors import ConfigurationError
from ragthrift.plan import arun, run
from ragthrift.types import Engine, Lean, Passage, Span

if TYPE_CHECKING:
    Step = tuple[Engine, tuple[Passage, ...]]


@dataclass(frozen=True, slots=True)
class Chain:
    """Gives each engine what the one before it kept, and tells the result in terms of the first passages."""

    engines: tuple[Engine, ...]

    def lean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """What all engines together keep."""
        return run(self._plan(passages), lambda step: step[0].lean(query, step[1]))

    async def alean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """`lean`, awaiting the engines."""
        return await arun(self._plan(passages), lambda step: step[0].alean(query, step[1]))

    def _plan(self, passages: Sequence[Passage]) -> Generator[Step, Lean, Lean]:
        total = yield self.engines[0], _placed(passages)
        for engine in self.engines[1:]:
            total = _followed(total, (yield engine, _placed(total.kept)))
        return total


def one(engine: Engine | Sequence[Engine]) -> Engine:
    """The engine, or the engines in a row as one."""
    if isinstance(engine, Engine):
        return engine
    if not engine:
        raise ConfigurationError("engine must be an engine or a list of at least one, got an empty list")
    return engine[0] if len(engine) == 1 else Chain(tuple(engine))


Engines = Annotated[Engine | Sequence[Engine], AfterValidator(one)]
"""A field that takes an engine or several in a row, and holds one."""


def name(engine: Engine) -> str:
    """What the engine is called in evidence."""
    if isinstance(engine, Chain):
        return "+".join(map(name, engine.engines))
    return type(engine).__name__


def through(outer: Sequence[Span], inner: Sequence[Span]) -> tuple[Span, ...]:
    """Ranges of the text that `outer` cut from a first text, as ranges of that first text.

    In a cut text, pieces stand one character apart.
    """
    if not outer:
        return tuple(inner)
    found: list[Span] = []
    for span in inner:
        at = 0
        for piece in outer:
            start, end = max(span.start, at), min(span.end, at + piece.end - piece.start)
            if start < end:
                found.append(Span(piece.start + start - at, piece.start + end - at))
            at += piece.end - piece.start + 1
    return tuple(found)


def _placed(passages: Sequence[Passage]) -> tuple[Passage, ...]:
    return tuple(replace(passage, index=index, spans=()) for index, passage in enumerate(passages))


def _followed(before: Lean, after: Lean) -> Lean:
    """`after`, which was given what `before` kept, as one result with it."""

    def first(passage: Passage) -> Passage:
        given = before.kept[passage.index]
        spans = through(given.spans, passage.spans) if passage.spans else given.spans
        return replace(passage, index=given.index, spans=spans)

    def hull(index: int, span: Span) -> Span:
        ranges = through(before.kept[index].spans, (span,))
        return Span(ranges[0].start, ranges[-1].end) if ranges else span

    decided = {decision.index for decision in after.receipt.decisions}
    again = {before.kept[index].index for index in decided}
    decisions = [d for d in before.receipt.decisions if not (d.kept and d.index in again)]
    decisions += [
        replace(d, index=before.kept[d.index].index, span=hull(d.index, d.span)) for d in after.receipt.decisions
    ]
    receipt = replace(
        before.receipt,
        decisions=tuple(decisions),
        fallbacks=(*before.receipt.fallbacks, *after.receipt.fallbacks),
        scored_pairs=before.receipt.scored_pairs + after.receipt.scored_pairs,
        possible_pairs=before.receipt.possible_pairs + after.receipt.possible_pairs,
        elapsed_ms=before.receipt.elapsed_ms + after.receipt.elapsed_ms,
        shadow=before.receipt.shadow and after.receipt.shadow,
    )
    return Lean(
        tuple(map(first, after.kept)),
        (*before.dropped, *map(first, after.dropped)),
        before.tokens_before,
        after.tokens_after,
        receipt,
        before.abstained or after.abstained,
    )
