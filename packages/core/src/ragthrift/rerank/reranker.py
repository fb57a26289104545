"""The reranker: whole passages ordered by a scorer, fused with the retriever's order, and cut where relevance ends."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from ragthrift.duplicates import Facts, Statement, stems
from ragthrift.engine import (
    check_choice,
    check_count,
    check_part,
    check_share,
    check_text,
    check_timeout,
    is_number,
    missing,
    numbered,
    reported,
)
from ragthrift.errors import ConfigurationError
from ragthrift.models.base import Scorer
from ragthrift.models.calls import Call, Failure, Numbers, Score, aanswer, answer
from ragthrift.plan import arun, run
from ragthrift.rerank.fuse import reciprocal_rank_fusion
from ragthrift.tokens import APPROXIMATE, TokenCounter, render
from ragthrift.types import Decision, Lean, Passage, Reason, Receipt, Span

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    Plan = Generator[Call, Numbers | Failure, Lean]

Cut = Literal["none", "gap"]
OnEmpty = Literal["keep_top1", "pass_through", "abstain"]


@dataclass(frozen=True, slots=True)
class Reranker:
    """Keeps the passages that `scorer` finds most relevant, whole and best first, each with its new score.

    `top_n` caps how many, `budget` how many tokens of the rendered text, `floor` drops those less relevant than this
    probability (scores outside 0..1 are read as log-odds), and `cut="gap"` ends at the largest drop in score. `fuse`
    is the weight of the retriever's own order in a reciprocal-rank fusion, 0 for none. `per_source` caps the passages
    of one source. Passages that state nothing new are dropped as duplicates, and a passage whose parent is kept as
    contained. If nothing reaches the floor, `on_empty` says what happens. A scorer that fails or takes longer than
    `timeout_s` leaves the retriever's order. `shadow` decides and records, and leaves the passages as they were.
    """

    scorer: Scorer
    top_n: int | None = 5
    budget: int | None = None
    floor: float = 0.0
    cut: Cut = "none"
    fuse: float = 0.0
    per_source: int | None = None
    duplicates: Literal["drop", "keep"] = "drop"
    on_empty: OnEmpty = "keep_top1"
    counter: TokenCounter = APPROXIMATE
    joiner: str = "\n\n"
    timeout_s: float | None = 30.0
    shadow: bool = False

    def __post_init__(self) -> None:
        _check(self)

    def lean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """The passages worth keeping, best first, with the receipt of each one kept and dropped."""
        clean = numbered(passages)
        start = time.perf_counter()
        lean = run(self._plan(query, clean), lambda call: answer(call, self.timeout_s))
        return reported("rerank", clean, lean, start, shadow=self.shadow)

    async def alean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """`lean`, awaiting the scorer."""
        clean = numbered(passages)
        start = time.perf_counter()
        lean = await arun(self._plan(query, clean), lambda call: aanswer(call, self.timeout_s))
        return reported("rerank", clean, lean, start, shadow=self.shadow)

    def _plan(self, query: str, passages: tuple[Passage, ...]) -> Plan:
        before = self.counter.count(render(passages, self.joiner))
        if not passages:
            return Lean((), (), before, before)
        texts = tuple(f"{passage.title}\n{passage.text}" if passage.title else passage.text for passage in passages)
        reply = yield Score(self.scorer, query, texts)
        if isinstance(reply, Failure):
            ranked = [
                replace(p, score=p.score if p.score is None or math.isfinite(p.score) else None) for p in passages
            ]
            return self._chosen(passages, ranked, {}, before, (f"scorer: {reply.reason}",), 0)
        scores = [row[0] for row in reply]
        by_score = sorted(range(len(scores)), key=lambda index: -scores[index])
        order = by_score
        if self.fuse:
            fused = reciprocal_rank_fusion(by_score, _retrieved(passages), weights=(1.0, self.fuse))
            order = sorted(fused, key=lambda index: -fused[index])
        ranked = [replace(passages[index], score=scores[index]) for index in order]
        return self._chosen(passages, ranked, self._irrelevant(scores, by_score), before, (), len(scores))

    def _irrelevant(self, scores: Sequence[float], by_score: Sequence[int]) -> dict[int, Reason]:
        """The passages below the floor or behind the gap."""
        probabilities = _probabilities(scores)
        out: dict[int, Reason] = {i: "irrelevant" for i, p in enumerate(probabilities) if p < self.floor}
        if self.cut == "gap" and len(by_score) > 1:
            drops = [scores[a] - scores[b] for a, b in pairwise(by_score)]
            if max(drops) > 0:
                out |= {index: "irrelevant" for index in by_score[drops.index(max(drops)) + 1 :]}
        return out

    def _chosen(
        self,
        passages: tuple[Passage, ...],
        ranked: Sequence[Passage],
        dropped: dict[int, Reason],
        before: int,
        fallbacks: tuple[str, ...],
        pairs: int,
    ) -> Lean:
        reasons: dict[int, Reason] = dict(dropped)
        nothing = len(dropped) == len(passages)
        if nothing and self.on_empty == "pass_through":
            return Lean(passages, (), before, before, Receipt(_decisions(ranked, {}), fallbacks, pairs, len(passages)))
        if nothing and self.on_empty == "keep_top1":
            reasons.pop(ranked[0].index)
        kept = self._pick(ranked, reasons)
        if not kept and not (nothing and self.on_empty == "abstain"):
            fallbacks = (*fallbacks, "no passage fits the budget")
        after = self.counter.count(render(kept, self.joiner))
        return Lean(
            kept,
            missing(passages, kept),
            before,
            after,
            Receipt(_decisions(ranked, reasons), fallbacks, pairs, len(passages)),
            abstained=not kept,
        )

    def _pick(self, ranked: Sequence[Passage], reasons: dict[int, Reason]) -> tuple[Passage, ...]:
        """The passages kept, best first; `reasons` gains why each other one is not."""
        kept: list[Passage] = []
        stated = Facts[None]()
        sources = Counter[str]()
        for passage in ranked:
            if passage.index in reasons:
                continue
            said = Statement(passage.text, stems(passage.text), (passage.title.casefold(),))
            if self.duplicates == "drop" and stated.find(said):
                reasons[passage.index] = "duplicate"
                continue
            if any(_holds(other, passage) for other in kept):
                reasons[passage.index] = "contained"
                continue
            if self.per_source is not None and passage.source and sources[passage.source] >= self.per_source:
                reasons[passage.index] = "source_cap"
                continue
            slimmer = [other for other in kept if not _holds(passage, other)]
            if self.top_n is not None and len(slimmer) >= self.top_n:
                reasons[passage.index] = "top_n"
                continue
            if self.budget is not None and self.counter.count(render([*slimmer, passage], self.joiner)) > self.budget:
                reasons[passage.index] = "over_budget"
                continue
            reasons |= {other.index: "contained" for other in kept if other not in slimmer}
            kept = [*slimmer, passage]
            stated.add(said, None)
            sources[passage.source] += 1
        return tuple(kept)


def _check(reranker: Reranker) -> None:
    """Raise a ConfigurationError for the first setting that cannot work."""
    for name in ("top_n", "budget", "per_source"):
        check_count(name, getattr(reranker, name))
    check_share("floor", reranker.floor)
    check_part("scorer", reranker.scorer, "score")
    check_part("counter", reranker.counter, "count")
    check_text("joiner", reranker.joiner)
    if not is_number(reranker.fuse) or not 0 <= reranker.fuse < math.inf:
        raise ConfigurationError(f"fuse must be 0 or more, got {reranker.fuse!r}")
    check_choice("cut", reranker.cut, ("none", "gap"))
    check_choice("duplicates", reranker.duplicates, ("drop", "keep"))
    check_choice("on_empty", reranker.on_empty, ("keep_top1", "pass_through", "abstain"))
    check_timeout(reranker.timeout_s)


def _retrieved(passages: Sequence[Passage]) -> list[int]:
    """The retriever's order: by its scores when all passages have one, as given otherwise."""
    scores = [passage.score for passage in passages]
    if any(score is None or not math.isfinite(score) for score in scores):
        return list(range(len(passages)))
    return sorted(range(len(passages)), key=lambda index: -(scores[index] or 0.0))


def _holds(parent: Passage, child: Passage) -> bool:
    """Whether `child` is a piece of `parent`, by its parent id and its text."""
    return bool(child.parent) and child.parent == parent.id and child.text in parent.text


def _probabilities(scores: Sequence[float]) -> list[float]:
    if all(0 <= score <= 1 for score in scores):
        return list(scores)
    return [1 / (1 + math.exp(-max(-30.0, min(30.0, score)))) for score in scores]


def _decisions(ranked: Sequence[Passage], reasons: dict[int, Reason]) -> tuple[Decision, ...]:
    return tuple(
        Decision(p.index, Span(0, len(p.text)), p.index not in reasons, reasons.get(p.index, "kept"), p.score or 0.0)
        for p in ranked
    )
