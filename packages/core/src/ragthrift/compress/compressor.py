"""The compressor: retrieved passages in, the evidence that the question needs out, never over the token budget."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ragthrift.compress.calibrate import Certificate, Labelled
from ragthrift.compress.evidence import Weights, believe, bridged, first_look
from ragthrift.compress.guard import asks_for_everything
from ragthrift.compress.pack import Order, first_that_fit, ordered
from ragthrift.compress.pool import Pool, pool
from ragthrift.compress.select import Limits, Selection, assemble, select
from ragthrift.compress.signals import Signals, gather
from ragthrift.compress.weights import CERTIFICATES, WEIGHTS
from ragthrift.engine import (
    check_choice,
    check_count,
    check_part,
    check_share,
    check_text,
    check_timeout,
    missing,
    numbered,
    reported,
)
from ragthrift.errors import ConfigurationError, RemoteError, SetupError
from ragthrift.models.base import Embedder, Scorer
from ragthrift.models.calls import Call, Failure, Numbers, aanswer, answer
from ragthrift.plan import arun, run
from ragthrift.tokens import APPROXIMATE, TokenCounter, render
from ragthrift.types import Decision, Lean, Passage, Reason, Receipt, Span

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    Plan = Generator[Call, Numbers | Failure, Lean]

OnEmpty = Literal["keep_top1", "pass_through", "abstain"]


@dataclass(frozen=True, slots=True)
class Compressor:
    """Keeps the sentences, rows, items and code blocks that a question needs, word for word, within a token budget.

    `budget` is a number of tokens, or a share of the rendered context when it is a float up to 1. `max_loss` instead
    keeps as much as it takes for no more than this share of questions to lose evidence, by a `certificate` of the
    caller's or the one that comes with the package; with both, the smaller context wins. Without a model the choice
    rests on words and on the links between passages; `embedder` adds meaning, and `scorer` a cross-encoder that looks
    at no more than `scored_share` of the units, those whose fate it can change.

    `order` is that of the kept passages: as given (stable, so a provider's prompt cache keeps its prefix), the best at
    both `edges`, or by `score`. `floor` drops units less likely needed than this; if nothing is left, `on_empty` says
    what happens. `per_source` caps the share of the budget that one source may fill. Contexts of less than
    `min_tokens`, and questions that ask to list or summarise everything, pass through unless `budget` is a number of
    tokens. A model whose call fails or takes longer than
    `timeout_s` is done without. `shadow` decides and records, and
    leaves the passages as they were.
    """

    budget: int | float | None = None
    max_loss: float | None = None
    scorer: Scorer | None = None
    embedder: Embedder | None = None
    counter: TokenCounter = APPROXIMATE
    joiner: str = "\n\n"
    order: Order = "source"
    on_empty: OnEmpty = "keep_top1"
    floor: float = 0.0
    per_source: float = 1.0
    scored_share: float = 1 / 3
    min_tokens: int = 200
    language: str = "en"
    timeout_s: float | None = 30.0
    shadow: bool = False
    certificate: Certificate | None = None
    weights: Weights = WEIGHTS

    def __post_init__(self) -> None:
        _check(self)

    @property
    def models(self) -> str:
        """What scores the units, for certificates: they hold for these models only."""
        return "+".join(["lexical", *(_name(model) for model in (self.embedder, self.scorer) if model is not None)])

    @property
    def promise(self) -> Certificate | None:
        """The certificate behind `max_loss`: the caller's, or the one that comes with the package; None without one.

        Raises ConfigurationError when no certificate supports the promise.
        """
        if self.max_loss is None:
            return None
        return self.certificate or _shipped(self.models, self.max_loss)

    def lean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """The lean context for `query`, with the receipt of every unit kept and dropped."""
        clean = numbered(passages)
        start = time.perf_counter()
        try:
            lean = run(self._plan(query, clean), lambda call: answer(call, self.timeout_s))
        except SetupError:
            raise
        except Exception as error:  # noqa: BLE001  # a broken compressor must not break the request
            lean = self._unranked(clean, f"{type(error).__name__}: {error}")
        return reported("compress", clean, lean, start, shadow=self.shadow)

    async def alean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """`lean`, awaiting the models."""
        clean = numbered(passages)
        start = time.perf_counter()
        try:
            lean = await arun(self._plan(query, clean), lambda call: aanswer(call, self.timeout_s))
        except SetupError:
            raise
        except Exception as error:  # noqa: BLE001  # a broken compressor must not break the request
            lean = self._unranked(clean, f"{type(error).__name__}: {error}")
        return reported("compress", clean, lean, start, shadow=self.shadow)

    def worth_needed(self, row: Labelled) -> float:
        """The largest `Limits.worth` at which no evidence of the row is lost; for `calibrate`.

        It is 1 for a row that passes through, and 0 for one whose evidence no unit holds. Raises RemoteError when a
        model fails.
        """
        passages = numbered(row.passages)
        if self._nothing_to_win(row.query, self.counter.count(render(passages, self.joiner))):
            return 1.0
        table = pool(row.query, passages, language=self.language)
        signals = run(self._signals(row.query, passages, table), lambda call: answer(call, self.timeout_s))
        if signals.fallbacks:
            raise RemoteError(f"calibration needs an answer from every model: {'; '.join(signals.fallbacks)}")
        everything = Limits(tokens=sys.maxsize)
        chosen = select(table, passages, signals.needed, everything, counter=APPROXIMATE, joiner=self.joiner)
        worths = [
            chosen.worth.get(c, 0.0)
            for passage, span in row.evidence
            for c in table.of[passage]
            if table.candidates[c].unit.start < span.end and span.start < table.candidates[c].unit.end
        ]
        return min(worths, default=0.0)

    def _plan(self, query: str, passages: tuple[Passage, ...]) -> Plan:
        before = self.counter.count(render(passages, self.joiner))
        limits = self._limits(before)
        if (before <= limits.tokens and not limits.worth) or self._nothing_to_win(query, before):
            return self._whole(passages, before)
        table = pool(query, passages, language=self.language)
        signals = yield from self._signals(query, passages, table)
        if signals.fallbacks:  # a promise holds for the models that it was made with
            limits = replace(limits, worth=0.0)
        if not table.asked & table.held.keys() and not self._model_answered(signals):
            return self._unranked(passages, "no word of the query is in the passages", signals=signals)
        if max(signals.needed, default=0.0) < self.floor:
            return self._empty(passages, table, signals, before)
        chosen = select(table, passages, signals.needed, limits, counter=self.counter, joiner=self.joiner)
        lean = self._packed(passages, table, signals, chosen, before, limits.tokens)
        if lean.kept:
            return lean
        return self._unranked(passages, "no unit fits the budget", best=_best(table, signals), signals=signals)

    def _model_answered(self, signals: Signals) -> bool:
        embedded = self.embedder is not None and not any(why.startswith("embedder:") for why in signals.fallbacks)
        return embedded or signals.scored_pairs > 0

    def _signals(
        self, query: str, passages: Sequence[Passage], table: Pool
    ) -> Generator[Call, Numbers | Failure, Signals]:
        look = first_look(table)
        belief = bridged(table, look, believe(look, self.weights), self.weights)
        return (
            yield from gather(
                query,
                passages,
                table,
                belief,
                scorer=self.scorer,
                embedder=self.embedder,
                share=self.scored_share,
            )
        )

    def _limits(self, before: int) -> Limits:
        tokens = sys.maxsize
        if self.budget is not None:
            tokens = self.budget if isinstance(self.budget, int) else max(1, int(self.budget * before))
        promise = self.promise
        return Limits(tokens, self.per_source, promise.worth if promise else 0.0, self.floor)

    def _nothing_to_win(self, query: str, before: int) -> bool:
        """Whether to leave the context alone; a budget in tokens is a promise and leaves no choice."""
        if isinstance(self.budget, int):
            return False
        return before < self.min_tokens or asks_for_everything(query)

    def _whole(self, passages: tuple[Passage, ...], before: int) -> Lean:
        return Lean(passages, (), before, before, Receipt(_uniform(passages, kept=True, reason="pass_through")))

    def _unranked(
        self, passages: tuple[Passage, ...], why: str, *, best: int | None = None, signals: Signals | None = None
    ) -> Lean:
        """The fallback: passages in the retriever's order, or the one that holds the best unit first, until full."""
        before = self.counter.count(render(passages, self.joiner))
        first = [passages[best]] if best is not None else []
        queue = [*first, *(p for p in passages if not first or p.index != best)]
        kept = first_that_fit(queue, self._limits(before).tokens, counter=self.counter, joiner=self.joiner)
        signals = signals or Signals(())
        decisions = [part for d in _uniform(passages, kept=False, reason="over_budget") for part in _parted(d, kept)]
        receipt = Receipt(
            tuple(decisions), (*signals.fallbacks, why), signals.scored_pairs, possible_pairs=len(signals.needed)
        )
        after = self.counter.count(render(kept, self.joiner))
        return Lean(kept, missing(passages, kept), before, after, receipt, abstained=bool(passages) and not kept)

    def _empty(self, passages: tuple[Passage, ...], table: Pool, signals: Signals, before: int) -> Lean:
        """What the caller chose for passages none of which looks relevant."""
        if self.on_empty == "pass_through":
            lean = self._unranked(passages, "nothing is relevant: passed through")
        elif self.on_empty == "keep_top1":
            only = passages[_best(table, signals)]
            kept = first_that_fit([only], self._limits(before).tokens, counter=self.counter, joiner=self.joiner)
            lean = Lean(kept, missing(passages, kept), before, self.counter.count(render(kept, self.joiner)))
        else:
            lean = Lean((), passages, before, 0, abstained=True)
        units = _decisions(table, signals, dict.fromkeys(range(len(signals.needed)), "irrelevant"), set())
        decisions = tuple(part for d in units for part in _parted(d, lean.kept))
        fallbacks = (*signals.fallbacks, *lean.receipt.fallbacks)
        return replace(lean, receipt=Receipt(decisions, fallbacks, signals.scored_pairs, len(table.candidates)))

    def _packed(
        self,
        passages: tuple[Passage, ...],
        table: Pool,
        signals: Signals,
        chosen: Selection,
        before: int,
        tokens: int,
    ) -> Lean:
        """The chosen units as passages, less the last ones if the whole costs more than its parts did."""
        best = [max((signals.needed[c] for c in own), default=0.0) for own in table.of]
        while True:
            lean = ordered(assemble(table, passages, chosen.kept), lambda passage: best[passage.index], self.order)
            after = self.counter.count(render(lean, self.joiner))
            if after <= tokens:
                break
            chosen.give_back(after - tokens)
        receipt = Receipt(
            tuple(_decisions(table, signals, chosen.reasons, chosen.kept)),
            signals.fallbacks,
            signals.scored_pairs,
            len(table.candidates),
        )
        return Lean(lean, missing(passages, lean), before, after, receipt)


def _check(compressor: Compressor) -> None:
    """Raise a ConfigurationError for the first setting that cannot work."""
    budget: object = compressor.budget
    if budget is None and compressor.max_loss is None:
        raise ConfigurationError("give a budget (tokens, or a share such as 0.25), max_loss (such as 0.02), or both")
    if isinstance(budget, float):
        if not 0 < budget <= 1:
            raise ConfigurationError(
                f"budget as a float is a share above 0 and up to 1, got {budget!r}; use an int for tokens"
            )
    else:
        check_count("budget", budget)
    check_choice("order", compressor.order, ("source", "edges", "score"))
    check_choice("on_empty", compressor.on_empty, ("keep_top1", "pass_through", "abstain"))
    for name in ("floor", "per_source", "scored_share"):
        check_share(name, getattr(compressor, name))
    check_timeout(compressor.timeout_s)
    check_count("min_tokens", compressor.min_tokens, least=0)
    check_text("joiner", compressor.joiner)
    check_text("language", compressor.language)
    check_part("counter", compressor.counter, "count")
    if compressor.embedder is not None:
        check_part("embedder", compressor.embedder, "embed")
    if compressor.scorer is not None:
        check_part("scorer", compressor.scorer, "score", "relevant_spans")
    if compressor.per_source == 0:
        raise ConfigurationError("per_source must be above 0, got 0: nothing could be kept")
    if compressor.max_loss is not None and compressor.floor:
        raise ConfigurationError(f"floor={compressor.floor!r} drops evidence that max_loss promises to keep: use one")
    promise = compressor.promise
    if promise and (promise.max_loss > (compressor.max_loss or 0) or promise.models != compressor.models):
        raise ConfigurationError(
            f"the certificate promises max_loss={promise.max_loss!r} for {promise.models}, not "
            f"{compressor.max_loss!r} for {compressor.models}: calibrate again with this compressor"
        )


def _shipped(models: str, max_loss: float) -> Certificate:
    """The certificate that comes with the package for these models and at most this loss.

    Raises ConfigurationError when there is none.
    """
    fitting = [c for c in CERTIFICATES if c.models == models and c.max_loss <= max_loss]
    if not fitting:
        raise ConfigurationError(
            f"no certificate for max_loss={max_loss!r} with {models} comes with the package: make one from your own "
            f"labelled rows with ragthrift.compress.calibrate and pass it as certificate="
        )
    return max(fitting, key=lambda c: c.max_loss)


def _name(model: object) -> str:
    """The class of a model and, where it says so, which model it is."""
    which = getattr(model, "model", None)
    return f"{type(model).__name__}({which})" if isinstance(which, str) else type(model).__name__


def _best(table: Pool, signals: Signals) -> int:
    """The passage that holds the best unit, the first one when none holds any."""
    if not table.candidates:
        return 0
    return table.candidates[max(range(len(signals.needed)), key=lambda c: signals.needed[c])].passage


def _uniform(passages: Sequence[Passage], *, kept: bool, reason: Reason) -> tuple[Decision, ...]:
    """One decision a passage, with the retriever's score where that is a number."""
    return tuple(
        Decision(p.index, Span(0, len(p.text)), kept, reason, p.score if p.score and math.isfinite(p.score) else 0.0)
        for p in passages
    )


def _parted(decision: Decision, kept: Sequence[Passage]) -> Iterator[Decision]:
    """A decision to drop, less the range that was kept after all because a passage was kept from its beginning on."""
    held = next((passage for passage in kept if passage.index == decision.index), None)
    span = decision.span
    end = span.start if held is None else min(span.end, held.spans[0].end) if held.spans else span.end
    if end > span.start or (held and span.start == span.end):
        yield replace(decision, span=Span(span.start, end), kept=True, reason="pass_through")
    if end < span.end:
        yield replace(decision, span=Span(max(span.start, end), span.end))
    elif held is None:
        yield decision


def _decisions(table: Pool, signals: Signals, reasons: dict[int, Reason], kept: set[int]) -> Iterator[Decision]:
    for c, (candidate, score) in enumerate(zip(table.candidates, signals.needed, strict=True)):
        span = Span(candidate.unit.start, candidate.unit.end)
        yield Decision(candidate.passage, span, c in kept, reasons.get(c, "over_budget"), score)
