"""The reader level: a model answers from each context, and its answers are scored."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ragthrift.tokens import TokenCounter, render
from ragthrift_bench.context.arms import Keep
from ragthrift_bench.context.run import CLOSED, FULL, GOLD, Plan, gold_context
from ragthrift_bench.harness.journal import Journal
from ragthrift_bench.harness.match import answered, exact, f1, refused
from ragthrift_bench.harness.readers import SYSTEM, Reader, prompt_for
from ragthrift_bench.harness.rows import Row

READ_METRICS = (
    "reader_f1",
    "reader_em",
    "reader_contains",
    "abstain_right",
    "prompt_tokens",
    "output_tokens",
    "reader_ms",
)
Column = list[float | None]
Way = tuple[str, float]
"""An arm and the budget it is read at; a bracket's budget is 1."""


@dataclass(frozen=True, slots=True)
class Read:
    """The scored answers of one set: per way a column per metric, in the order of the rows that were read."""

    reader: str
    rows: tuple[int, ...]
    columns: Mapping[Way, Mapping[str, Column]]
    replies: Mapping[Way, Sequence[str]]


def read(
    plan: Plan,
    keeps: Mapping[str, Keep],
    budgets: Sequence[float],
    reader: Reader,
    journal: Journal,
    *,
    rows: int,
    seconds: float | None,
    tick: Callable[[int], None],
) -> Read:
    """Ask the reader about the first rows, row by row and every arm on each, so that all arms read the same rows.

    When `seconds` are over no further row is begun. A row with no annotated evidence has no gold bracket.
    """
    ways: list[Way] = [(FULL, 1.0), (GOLD, 1.0), (CLOSED, 1.0)]
    ways += [(name, budget) for name in keeps for budget in budgets]
    found: dict[Way, dict[str, Column]] = {way: {metric: [] for metric in READ_METRICS} for way in ways}
    replies: dict[Way, list[str]] = {way: [] for way in ways}
    done: list[int] = []
    until = None if seconds is None else time.monotonic() + seconds
    try:
        for at in range(min(rows, len(plan.rows))):
            if until is not None and done and time.monotonic() >= until:
                break
            answers = {way: _answer(plan, at, way, keeps, reader, journal) for way in ways}
            for way, (reply, numbers) in answers.items():
                replies[way].append(reply)
                for metric in READ_METRICS:
                    found[way][metric].append(numbers.get(metric))
            done.append(at)
            tick(len(ways))
    except KeyboardInterrupt:
        if not done:  # nothing to keep
            raise
    return Read(reader.name, tuple(done), found, replies)


def context_of(plan: Plan, at: int, way: Way, keeps: Mapping[str, Keep]) -> str | None:
    """The context that is read, None where there is none to read."""
    name, budget = way
    row = plan.rows[at]
    if name == CLOSED:
        return ""
    if name == FULL:
        return render(row.passages)
    if name == GOLD:
        return render(gold_context(row)) if row.gold else None
    return render(keeps[name](plan.task(at, budget)).passages)


def scored(row: Row, reply: str) -> dict[str, float | None]:
    """The marks of one answer. A row that cannot be answered has one mark: whether the reader said so."""
    if not row.answers:
        return {"abstain_right": float(refused(reply))}
    return {
        "reader_f1": f1(reply, row.answers),
        "reader_em": exact(reply, row.answers),
        "reader_contains": float(answered(reply, row.answers)),
        "abstain_right": float(not refused(reply)),
    }


def _answer(
    plan: Plan, at: int, way: Way, keeps: Mapping[str, Keep], reader: Reader, journal: Journal
) -> tuple[str, dict[str, float | None]]:
    context = context_of(plan, at, way, keeps)
    if context is None:
        return "", {}
    prompt = prompt_for(plan.rows[at].question, context)
    key = "read|" + hashlib.sha256(f"{reader.name}\n{prompt}".encode("utf-8", "replace")).hexdigest()
    if key not in journal:
        reply = reader.ask(prompt)
        tokens_out = plan.counter.count(reply.text) if reply.tokens_out is None else reply.tokens_out
        journal.add(key, [reply.text, tokens_out, reply.ms])
    text, tokens_out, ms = cast("tuple[str, int, float]", journal.get(key))
    numbers = scored(plan.rows[at], text)
    numbers |= {
        "prompt_tokens": float(prompt_tokens(plan.counter, prompt)),
        "output_tokens": float(tokens_out),
        "reader_ms": ms,
    }
    return text, numbers


def prompt_tokens(counter: TokenCounter, prompt: str) -> int:
    """The tokens of a whole prompt, instructions included."""
    return counter.count(SYSTEM) + counter.count(prompt)
