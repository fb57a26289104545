"""From columns of numbers to the cells and differences of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragthrift_bench.context.arms import OWN, Arm
from ragthrift_bench.context.reading import Read, Way
from ragthrift_bench.context.run import CLOSED, FULL, GOLD, Column, Columns, Measured
from ragthrift_bench.harness.results import Cell, Unit
from ragthrift_bench.harness.stats import Bootstrap, Difference, Estimate, area, holm

MARGIN = -0.01
"""An arm is called not inferior when its whole interval lies above this: one point."""
SHARES = ("answer_in_context", "joint_evidence", "evidence_recall")
READ_SHARES = ("reader_f1", "reader_em", "reader_contains", "abstain_right")
COMPARED = ("answer_in_context", "joint_evidence")
READ_COMPARED = ("reader_f1", "reader_contains")


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars per million tokens in and out, and per hour of one CPU core."""

    per_mtok_in: float = 0.15
    per_mtok_out: float = 0.60
    per_cpu_hour: float = 0.04

    def per_1000(self, tokens_in: float, tokens_out: float = 0.0, ms: float = 0.0) -> float:
        """Dollars for a thousand questions: input, output and the compressor's own computing."""
        tokens = tokens_in * self.per_mtok_in + tokens_out * self.per_mtok_out
        return 1000 * (tokens / 1e6 + ms / 3.6e6 * self.per_cpu_hour)


@dataclass(frozen=True, slots=True)
class Compared:
    """A paired difference of one of our arms and what it is compared with."""

    data: str
    data_sha256: str
    at: Mapping[str, float | int | str]
    metric: str
    arm: str
    rival: str
    against: str
    difference: Difference
    p_holm: float = 1.0

    def json(self) -> dict[str, object]:
        """The entry of the results file."""
        gap = self.difference
        return {
            "arm": self.arm,
            "rival": self.rival,
            "against": self.against,
            "data": self.data,
            "data_sha256": self.data_sha256,
            "at": dict(self.at),
            "metric": self.metric,
            "value": round(gap.value, 6),
            "ci": [round(gap.low, 6), round(gap.high, 6)],
            "n": gap.n,
            "p": round(gap.p, 6),
            "p_holm": round(self.p_holm, 6),
            "not_inferior_at_1_point": gap.low >= MARGIN,
        }


class Summary:
    """The cells and differences of one set."""

    def __init__(self, found: Measured, arms: Sequence[Arm], prices: Prices, read: Read | None, seed: int) -> None:
        self.found = found
        self.plan = found.plan
        self.models = {arm.name: arm.model for arm in arms}
        self.prices = prices
        self.read = read
        self._seed = seed
        self._draw = Bootstrap(len(self.plan.rows), seed=seed)

    def cells(self) -> list[Cell]:
        """Every number of the set."""
        cells = [cell for arm, budgets in self.found.columns.items() for cell in self._arm(arm, budgets)]
        cells += [cell for arm, times in self.found.times.items() for cell in self._times(arm, times)]
        return cells + list(self._read_cells())

    def differences(self) -> list[Compared]:
        """Our arms against the best rival of each budget and metric, and against the full context where it was read."""
        return [*self._level_one(), *self._level_two()]

    def _arm(self, arm: str, budgets: Mapping[float, Columns]) -> Iterator[Cell]:
        full = self.found.columns[FULL][1.0]
        curve: list[tuple[float, float]] = []
        for budget, columns in budgets.items():
            at = {"budget": budget}
            for metric in SHARES:
                yield from self._cell(arm, metric, self._draw.mean(columns[metric]), "share", at)
            yield from self._counts(arm, columns, at)
            kept = self._draw.ratio(columns["answer_in_context"], full["answer_in_context"])
            yield from self._cell(arm, "retained", kept, "share", at)
            if kept is not None:
                curve.append((budget, kept.value))
            yield from self._positions(arm, columns, budget)
        if (size := area(curve)) is not None and not arm.startswith("bracket:"):
            yield Cell(
                arm,
                self.plan.data.name,
                self.plan.data.sha256,
                "area_retained",
                size,
                None,
                len(self.plan.rows),
                "area",
            )

    def _counts(self, arm: str, columns: Columns, at: Mapping[str, float]) -> Iterator[Cell]:
        yield from self._cell(arm, "tokens_used", self._draw.mean(columns["tokens"]), "tokens", at)
        pairs = [
            None if pairs is None else pairs / max(1, all_pairs)
            for pairs, all_pairs in zip(columns["scored_pairs"], self.plan.sentences, strict=True)
        ]
        yield from self._cell(arm, "scored_pairs_share", self._draw.mean(pairs), "share", at)
        yield from self._cell(arm, "abstained", self._draw.mean(columns["abstained"]), "share", at)
        for name, metric in (("overruns", "overrun"), ("offset_errors", "offset_error"), ("fallbacks", "fell_back")):
            known = [value for value in columns[metric] if value is not None]
            if known:
                yield self._plain(arm, name, sum(known), len(known), "count", at)
        ms = self.found.times.get(arm)
        tokens = [value for value in columns["tokens"] if value is not None]
        dollars = self.prices.per_1000(float(np.mean(tokens)), ms=float(np.mean(ms)) if ms else 0.0)
        yield self._plain(arm, "usd_per_1000", dollars, len(tokens), "usd", at)

    def _positions(self, arm: str, columns: Columns, budget: float) -> Iterator[Cell]:
        """Answers kept by where the gold passage stood, and how far apart the places are."""
        places = sorted({row.gold_position for row in self.plan.rows if row.gold_position is not None})
        means: list[float] = []
        for place in places if len(places) > 1 else ():
            here = [
                value if row.gold_position == place else None
                for value, row in zip(columns["answer_in_context"], self.plan.rows, strict=True)
            ]
            estimate = self._draw.mean(here)
            yield from self._cell(
                arm, "answer_in_context", estimate, "share", {"budget": budget, "gold_position": place}
            )
            means += [estimate.value] if estimate else []
        if means:
            spread = max(means) - min(means)
            yield self._plain(arm, "position_spread", spread, len(self.plan.rows), "share", {"budget": budget})

    def _times(self, arm: str, times: Sequence[float]) -> Iterator[Cell]:
        for metric, quantile in (("latency_p50_ms", 0.5), ("latency_p95_ms", 0.95)):
            if times:
                yield self._plain(
                    arm, metric, float(np.quantile(times, quantile)), len(times), "ms", {"budget": self.plan.primary}
                )

    def _read_cells(self) -> Iterator[Cell]:
        if self.read is None or not self.read.rows:
            return
        draw = Bootstrap(len(self.read.rows), seed=self._seed)
        full = self.read.columns[FULL, 1.0]
        for way, columns in self.read.columns.items():
            arm, at = way[0], self._read_at(way)
            for metric in READ_SHARES:
                yield from self._cell(arm, metric, draw.mean(columns[metric]), "share", at)
            yield from self._cell(
                arm, "reader_retained", draw.ratio(columns["reader_f1"], full["reader_f1"]), "share", at
            )
            yield from self._cell(arm, "prompt_tokens", draw.mean(columns["prompt_tokens"]), "tokens", at)
            yield from self._cell(arm, "output_tokens", draw.mean(columns["output_tokens"]), "tokens", at)
            yield from self._cell(arm, "reader_ms", draw.mean(columns["reader_ms"]), "ms", at)
            yield from self._refusals(arm, columns["abstain_right"], at)
            yield self._dollars(arm, columns, at)

    def _refusals(self, arm: str, marks: Column, at: Mapping[str, float | str]) -> Iterator[Cell]:
        """Right refusals of rows that have no answer, beside the right attempts of those that have one."""
        assert self.read is not None
        without = [
            mark
            for mark, row in zip(marks, self.read.rows, strict=True)
            if mark is not None and not self.plan.rows[row].answers
        ]
        if without:
            yield self._plain(arm, "abstain_accuracy", sum(without) / len(without), len(without), "share", at)

    def _dollars(self, arm: str, columns: Mapping[str, Column], at: Mapping[str, float | str]) -> Cell:
        tokens_in, tokens_out = (
            float(np.mean([value for value in columns[name] if value is not None] or [0.0]))
            for name in ("prompt_tokens", "output_tokens")
        )
        ms = self.found.times.get(arm)
        dollars = self.prices.per_1000(tokens_in, tokens_out, float(np.mean(ms)) if ms else 0.0)
        return self._plain(arm, "usd_per_1000", dollars, len(columns["prompt_tokens"]), "usd", at)

    def _read_at(self, way: Way) -> dict[str, float | str]:
        assert self.read is not None
        return {"budget": 0.0 if way[0] == CLOSED else way[1], "reader": self.read.reader}

    def _level_one(self) -> Iterator[Compared]:
        for budget in self.plan.budgets:
            there = {arm: columns[budget] for arm, columns in self.found.columns.items() if budget in columns}
            for metric in COMPARED:
                pairs = [
                    (arm, rival, against)
                    for arm in there
                    if arm.startswith("ragthrift:")
                    for against, rival in self._best(arm, there, metric)
                ]
                yield from self._paired(
                    self._draw,
                    {arm: columns[metric] for arm, columns in there.items()},
                    pairs,
                    metric,
                    {"budget": budget},
                )

    def _level_two(self) -> Iterator[Compared]:
        if self.read is None or not self.read.rows:
            return
        draw = Bootstrap(len(self.read.rows), seed=self._seed)
        for budget in sorted({budget for arm, budget in self.read.columns if not arm.startswith("bracket:")}):
            ways = {arm: columns for (arm, at), columns in self.read.columns.items() if at == budget or arm == FULL}
            for metric in READ_COMPARED:
                columns = {arm: found[metric] for arm, found in ways.items() if arm not in (GOLD, CLOSED)}
                rivals = {arm: _mean(column) for arm, column in columns.items() if arm.startswith("rival:")}
                best = max(rivals, key=lambda arm: rivals[arm]) if rivals else None
                ours = [arm for arm in columns if arm.startswith("ragthrift:")]
                pairs = [(arm, FULL, "full context") for arm in ours]
                pairs += [(arm, best, "best rival") for arm in ours if best]
                yield from self._paired(draw, columns, pairs, metric, {"budget": budget, "reader": self.read.reader})

    def _best(self, arm: str, there: Mapping[str, Columns], metric: str) -> Iterator[tuple[str, str]]:
        """The best rival of all, and for an arm without a model also the best one without a model.

        A rival that used more tokens than the budget on average is no measure of what fits it. The best is chosen on
        the rows that are reported, which favours the rival.
        """
        fair = {
            name: columns[metric]
            for name, columns in there.items()
            if name.startswith("rival:") and not name.endswith(OWN) and self._fits(columns)
        }
        plain = {name: column for name, column in fair.items() if not self.models.get(name)}
        if fair:
            yield "best rival", _highest(fair)
        if plain and not self.models.get(arm):
            yield "best rival without a model", _highest(plain)

    def _fits(self, columns: Columns) -> bool:
        over = [value for value in columns["overrun"] if value is not None]
        return sum(over) <= 0.01 * len(over)

    def _paired(
        self,
        draw: Bootstrap,
        columns: Mapping[str, Column],
        pairs: Sequence[tuple[str, str, str]],
        metric: str,
        at: Mapping[str, float | str],
    ) -> Iterator[Compared]:
        made = {
            (arm, against): (rival, gap)
            for arm, rival, against in pairs
            if (gap := draw.difference(columns[arm], columns[rival])) is not None
        }
        for against in dict.fromkeys(pair[2] for pair in pairs):
            adjusted = holm({arm: gap.p for (arm, kind), (_, gap) in made.items() if kind == against})
            for (arm, kind), (rival, gap) in made.items():
                if kind == against:
                    yield Compared(
                        self.plan.data.name, self.plan.data.sha256, at, metric, arm, rival, against, gap, adjusted[arm]
                    )

    def _cell(
        self, arm: str, metric: str, estimate: Estimate | None, unit: Unit, at: Mapping[str, float | int | str]
    ) -> Iterator[Cell]:
        if estimate is not None:
            yield Cell.of(arm, self.plan.data.name, self.plan.data.sha256, metric, estimate, unit, at)

    def _plain(
        self, arm: str, metric: str, value: float, n: int, unit: Unit, at: Mapping[str, float | int | str]
    ) -> Cell:
        return Cell(arm, self.plan.data.name, self.plan.data.sha256, metric, value, None, n, unit, at)


def _highest(columns: Mapping[str, Column]) -> str:
    """The arm with the highest mean over the questions that all of them were asked."""
    rows = [at for at, values in enumerate(zip(*columns.values(), strict=True)) if None not in values]
    return max(columns, key=lambda name: _mean([columns[name][at] for at in rows]))


def _mean(column: Column) -> float:
    known = [value for value in column if value is not None]
    return sum(known) / len(known) if known else 0.0
