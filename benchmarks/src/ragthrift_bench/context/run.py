"""The measuring of a run: every arm on every row at every budget, then its time, each piece kept in the journal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import cast

from ragthrift.tokens import TokenCounter, render
from ragthrift.types import Passage
from ragthrift_bench.context.arms import Arm, Keep, Kept, Task
from ragthrift_bench.context.baselines import units_of
from ragthrift_bench.context.measure import Score, score
from ragthrift_bench.harness.journal import Journal
from ragthrift_bench.harness.rows import DataSet, Evidence, Row

Column = list[float | None]
Columns = dict[str, Column]
METRICS = tuple(field.name for field in fields(Score))
BUDGETS = (0.05, 0.10, 0.15, 0.25, 0.33, 0.50, 1.0)
PRIMARY = 0.25
FULL = "bracket:full"
GOLD = "bracket:gold"
CLOSED = "bracket:closed"
TIMED_ROWS = 20
TIMED_ROWS_MODEL = 6
MODEL_ROWS = 8
"""Questions that an arm with a model is asked in a run that was not asked for everything."""
Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: the rows of a set, at which budgets, counted how."""

    data: DataSet
    rows: tuple[Row, ...]
    budgets: tuple[float, ...]
    counter: TokenCounter
    full: tuple[int, ...]
    sentences: tuple[int, ...]

    def task(self, at: int, budget: float) -> Task:
        row = self.rows[at]
        tokens = self.full[at] if budget >= 1 else max(1, math.floor(budget * self.full[at]))
        return Task(row.question, row.passages, tokens, self.full[at], self.counter)

    def budgets_of(self, arm: Arm, *, everything: bool) -> tuple[float, ...]:
        """All budgets, or only the one nearest to 25 % for an arm that is slow or that counts in its own way."""
        if everything or not (arm.heavy or arm.own):
            return self.budgets
        return (self.primary,)

    def rows_of(self, arm: Arm, *, everything: bool) -> int:
        """How many of the rows, from the first, an arm is asked."""
        return len(self.rows) if everything or not arm.model else min(MODEL_ROWS, len(self.rows))

    @property
    def primary(self) -> float:
        """The budget that headlines are about: the one nearest to 25 %."""
        return min(self.budgets, key=lambda budget: abs(budget - PRIMARY))


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found for one set: per arm and budget a column of numbers per metric, in the order of the rows."""

    plan: Plan
    columns: Mapping[str, Mapping[float, Columns]]
    times: Mapping[str, Sequence[float]]
    texts: Mapping[str, Sequence[Sequence[tuple[int, str]]]]


def plan_of(data: DataSet, rows: Sequence[Row], budgets: Sequence[float], counter: TokenCounter) -> Plan:
    """The plan for `rows`, the size of every full context counted."""
    full = tuple(counter.count(render(row.passages)) for row in rows)
    plan = Plan(data, tuple(rows), tuple(sorted(set(budgets))), counter, full, ())
    return replace(plan, sentences=tuple(len(units_of(plan.task(at, 1.0))) for at in range(len(rows))))


def brackets(plan: Plan) -> dict[str, dict[float, Columns]]:
    """The whole pool, and the gold evidence alone."""
    full = _columns(plan, lambda task: Kept(_numbered(task.passages)), 1.0, len(plan.rows))
    gold = [score(row, plan.task(at, 1.0), Kept(gold_context(row))) for at, row in enumerate(plan.rows)]
    return {FULL: {1.0: full}, GOLD: {1.0: _turned(gold)}}


def measure(
    plan: Plan, arm: Arm, keep: Keep, journal: Journal, *, everything: bool, tick: Tick
) -> dict[float, Columns]:
    """The columns of one arm at each of its budgets, from the journal where they were made before."""
    done: dict[float, Columns] = {}
    for budget in plan.budgets_of(arm, everything=everything):
        rows = plan.rows_of(arm, everything=everything)
        key = f"{plan.data.name}|{arm.name}|{budget:g}|{rows}"
        if key not in journal:
            journal.add(key, _columns(plan, keep, budget, rows, tick))
        else:
            tick(rows)
        done[budget] = cast("Columns", journal.get(key))
    return done


def timed(plan: Plan, arm: Arm, once: Keep, journal: Journal, *, everything: bool) -> list[float]:
    """Milliseconds of single warm calls on the first rows, at the budget nearest to 25 %."""
    rows = TIMED_ROWS if everything or not arm.model else TIMED_ROWS_MODEL
    key = f"{plan.data.name}|{arm.name}|ms|{rows}"
    if key not in journal:
        tasks = [plan.task(at, plan.primary) for at in range(min(rows, len(plan.rows)))]
        once(tasks[-1])
        journal.add(key, [_ms(once, task) for task in tasks])
    return cast("list[float]", journal.get(key))


def texts(plan: Plan, arm: str, keep: Keep, journal: Journal) -> list[list[tuple[int, str]]]:
    """What an arm kept of each row of an open set, as (passage, text), to be shown on the page."""
    key = f"{plan.data.name}|{arm}|texts"
    if key not in journal:
        kept = [keep(plan.task(at, plan.primary)).passages for at in range(len(plan.rows))]
        journal.add(key, [[(passage.index, passage.text) for passage in passages] for passages in kept])
    return [[(int(at), str(text)) for at, text in row] for row in cast("list[list[tuple[int, str]]]", journal.get(key))]


def gold_context(row: Row) -> tuple[Passage, ...]:
    """The needed evidence alone: its sentences, each under the title of its passage, in source order."""
    wanted: dict[str, list[str]] = {}
    for piece in row.gold:
        first: Evidence = piece[0]
        if first.text not in wanted.setdefault(first.passage, []):
            wanted[first.passage].append(first.text)
    seen: set[str] = set()
    kept: list[Passage] = []
    for at, passage in enumerate(row.passages):
        home = passage.source or passage.id
        if home in wanted and home not in seen:
            seen.add(home)
            kept.append(replace(passage, text=" ".join(wanted[home]), index=at))
    return tuple(kept)


def _columns(plan: Plan, keep: Keep, budget: float, rows: int, tick: Tick = lambda done: None) -> Columns:
    """The columns over the first `rows`; the rest is None."""
    found = _turned(list(_scores(plan, keep, budget, rows, tick)))
    return {metric: [*column, *[None] * (len(plan.rows) - rows)] for metric, column in found.items()}


def _scores(plan: Plan, keep: Keep, budget: float, rows: int, tick: Tick) -> Iterator[Score]:
    for at, row in enumerate(plan.rows[:rows]):
        task = plan.task(at, budget)
        yield score(row, task, keep(task))
        tick(1)


def _turned(scores: Sequence[Score]) -> Columns:
    rows = [asdict(one) for one in scores]
    return {metric: [row[metric] for row in rows] for metric in METRICS}


def _numbered(passages: Sequence[Passage]) -> tuple[Passage, ...]:
    return tuple(replace(passage, index=at) for at, passage in enumerate(passages))


def _ms(keep: Keep, task: Task) -> float:
    start = time.perf_counter_ns()
    keep(task)
    return (time.perf_counter_ns() - start) / 1e6
