"""Which units to keep: greedy by need per token under a hard budget, each unit paying for what it cannot stand without.

Costs are those of the rendered passage with and without the unit, so labels, gaps between spans and tokens that merge
at a seam are all paid for when the choice is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ragthrift.compress.repair import required
from ragthrift.duplicates import Facts, Statement
from ragthrift.tokens import label
from ragthrift.types import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ragthrift.compress.pool import Pool
    from ragthrift.duplicates import About
    from ragthrift.text import Unit
    from ragthrift.tokens import TokenCounter
    from ragthrift.types import Passage, Reason

LENGTH_POWER = 0.25
"""A unit's worth is its probability over its length to this power: between best first (0) and most per token (1)."""
MISSES = 24
"""Units in a row that no longer fit before the rest are taken not to fit either."""
EXACT = 8_000
"""Characters of one passage up to which each further unit is priced by rendering the whole of it anew."""
WIDEST_GAP = 8
"""Whitespace between two kept neighbours that is wider than this is not kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a selection may hold: tokens in all, the share of them that one source may fill, and the least worth.

    `worth` is a share of the best unit's worth, `floor` a probability; units below either are left out.
    """

    tokens: int
    per_source: float = 1.0
    worth: float = 0.0
    floor: float = 0.0


@dataclass(slots=True)
class Selection:
    """The units chosen so far, why each candidate was kept or dropped, and in which bundles at what price.

    `worth` is that of each unit kept, as a share of the best one's; a repeated fact has that of its first statement,
    and what was pulled in for another unit has that unit's.
    """

    kept: set[int] = field(default_factory=set[int])
    reasons: dict[int, Reason] = field(default_factory=dict[int, "Reason"])
    order: list[tuple[tuple[int, ...], int]] = field(default_factory=list[tuple[tuple[int, ...], int]])
    worth: dict[int, float] = field(default_factory=dict[int, float])

    def give_back(self, tokens: int) -> None:
        """Drop the units chosen last, enough to free at least so many tokens by their prices, and at least one."""
        freed = 0
        while self.order and freed < max(1, tokens):
            bundle, price = self.order.pop()
            freed += max(1, price)
            for unit in bundle:
                self.kept.discard(unit)
                self.reasons[unit] = "over_budget"


def select(
    pool: Pool,
    passages: Sequence[Passage],
    needed: Sequence[float],
    limits: Limits,
    *,
    counter: TokenCounter,
    joiner: str,
) -> Selection:
    """The units worth keeping within `limits`, with the reason for every candidate.

    The sum of the prices is within the limit; the tokens of the rendered whole can differ where pieces meet.
    """
    basket = _Basket(pool, passages, counter, joiner)
    chosen = Selection()
    stated = Facts[float]()
    worth = _worth(pool, needed)
    misses = 0
    for c in sorted(range(len(needed)), key=lambda c: -worth[c]):
        if c in chosen.kept:
            continue
        if needed[c] < limits.floor or worth[c] < limits.worth:
            chosen.reasons[c] = "irrelevant"
            continue
        chosen.reasons[c] = "over_budget"
        if misses >= MISSES:
            continue
        said = Statement(basket.text(c), pool.candidates[c].words, _about(pool, c))
        if before := stated.find(said):
            chosen.reasons[c] = "duplicate"
            chosen.worth[c] = max(before)
            continue
        bundle = tuple(sorted({c, *required(pool, passages, chosen.kept, c)}))
        spent, source = basket.cost(bundle)
        if basket.spent + spent > limits.tokens:
            misses += spent <= limits.tokens  # a unit that never could fit says nothing about the others
            continue
        if limits.per_source < 1 and basket.by_source.get(source, 0) + spent > limits.per_source * limits.tokens:
            chosen.reasons[c] = "source_cap"
            continue
        misses = 0
        basket.add(bundle, spent, source)
        chosen.order.append((bundle, spent))
        stated.add(said, worth[c])
        for unit in bundle:
            chosen.kept.add(unit)
            chosen.reasons[unit] = "kept" if unit == c else "repair"
            chosen.worth[unit] = worth[c]
    return chosen


def excerpt(passage: Passage, units: Sequence[Unit]) -> tuple[str, tuple[Span, ...]]:
    """The text of the given units of a passage, and the verbatim ranges it is made of.

    Neighbours keep what stands between them. A gap becomes a line break where it held one, so that rows and list
    items stay on their own lines, and a space elsewhere.
    """
    spans: list[Span] = []
    for unit in units:
        between = passage.text[spans[-1].end : unit.start] if spans else "?"
        if spans and len(between) <= WIDEST_GAP and not between.strip():
            spans[-1] = Span(spans[-1].start, unit.end)
        else:
            spans.append(Span(unit.start, unit.end))
    pieces: list[str] = []
    for number, span in enumerate(spans):
        if number:
            pieces.append("\n" if "\n" in passage.text[spans[number - 1].end : span.start] else " ")
        pieces.append(passage.text[span.start : span.end])
    return "".join(pieces), tuple(spans)


def assemble(pool: Pool, passages: Sequence[Passage], kept: set[int]) -> list[Passage]:
    """The kept passages in the order given, each with the kept units of its text and their spans."""
    lean: list[Passage] = []
    for index, own in enumerate(pool.of):
        units = [pool.candidates[c].unit for c in own if c in kept]
        if units:
            text, spans = excerpt(passages[index], units)
            lean.append(replace(passages[index], text=text, spans=spans, index=index))
    return lean


class _Basket:
    """What the kept units of each passage cost when rendered."""

    def __init__(self, pool: Pool, passages: Sequence[Passage], counter: TokenCounter, joiner: str) -> None:
        self._pool, self._passages, self._counter = pool, passages, counter
        self._joiner = joiner
        self._units: dict[int, list[int]] = {}
        self._size: dict[int, int] = {}
        self._costs: dict[int, int] = {}
        self.spent = 0
        self.by_source: dict[int, int] = {}

    def cost(self, bundle: tuple[int, ...]) -> tuple[int, int]:
        """The tokens that `bundle`, units of one passage, would add, and its source."""
        index = self._pool.candidates[bundle[0]].passage
        if self._size.get(index, 0) + self._chars(bundle) > EXACT and index in self._costs:
            return sum(self._counter.count(f"\n{self.text(c)}") for c in bundle), self._pool.source[index]
        rendered = self._rendered(index, sorted((*self._units.get(index, ()), *bundle)))
        return rendered - self._costs.get(index, 0), self._pool.source[index]

    def add(self, bundle: tuple[int, ...], tokens: int, source: int) -> None:
        index = self._pool.candidates[bundle[0]].passage
        self._units.setdefault(index, []).extend(bundle)
        self._size[index] = self._size.get(index, 0) + self._chars(bundle)
        self._costs[index] = self._costs.get(index, 0) + tokens
        self.spent += tokens
        self.by_source[source] = self.by_source.get(source, 0) + tokens

    def text(self, c: int) -> str:
        """The text of a candidate."""
        candidate = self._pool.candidates[c]
        return self._passages[candidate.passage].text[candidate.unit.start : candidate.unit.end]

    def _chars(self, bundle: tuple[int, ...]) -> int:
        return sum(unit.end - unit.start for unit in (self._pool.candidates[c].unit for c in bundle))

    def _rendered(self, index: int, units: Sequence[int]) -> int:
        passage = self._passages[index]
        text, _ = excerpt(passage, [self._pool.candidates[c].unit for c in units])
        joiner = self._joiner if self._costs and index != next(iter(self._costs)) else ""
        return self._counter.count(joiner + label(passage) + text + passage.tail)


def _worth(pool: Pool, needed: Sequence[float]) -> list[float]:
    """What each unit is worth, as a share of the best one's."""
    units = (candidate.unit for candidate in pool.candidates)
    worth = [p / (unit.end - unit.start) ** LENGTH_POWER for p, unit in zip(needed, units, strict=True)]
    best = max(worth, default=0.0)
    return [one / best for one in worth] if best else worth


def _about(pool: Pool, c: int) -> About:
    """What a candidate is about: the title, the heading, and what it needs, such as the header of a table."""
    candidate = pool.candidates[c]
    first, unit = pool.of[candidate.passage][0], candidate.unit
    heading = pool.candidates[first + unit.heading].words if unit.heading >= 0 else ()
    above = [word for need in unit.needs for word in pool.candidates[first + need].words]
    return (" ".join(pool.titles[candidate.passage]), " ".join(heading), " ".join(above))
