"""Arms: ways to cut a pool of passages to a token budget, all asked and measured in the same way."""

from __future__ import annotations

import fnmatch
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ragthrift.errors import ConfigurationError
from ragthrift.tokens import TokenCounter, render
from ragthrift.types import Passage
from ragthrift_bench.context.models import Models

OWN = "~own"
"""Ends the name of an arm that was told the budget in its own terms and counts in its own way."""

ENOUGH = 0.99
"""A search for the largest setting that fits ends when this share of the budget is used."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question, its pool, and the tokens that the rendered context may have. `full` is the size of the pool."""

    question: str
    passages: tuple[Passage, ...]
    budget: int
    full: int
    counter: TokenCounter

    @property
    def ratio(self) -> float:
        """The share of the pool's tokens that the budget allows."""
        return min(1.0, self.budget / self.full) if self.full else 1.0

    def tokens(self, passages: Sequence[Passage]) -> int:
        """The tokens of these passages as the prompt will hold them."""
        return self.counter.count(render(passages))


@dataclass(frozen=True, slots=True)
class Kept:
    """What an arm kept. Passages carry the index of their original, and spans where the arm reports them."""

    passages: tuple[Passage, ...]
    scored_pairs: int = 0
    abstained: bool = False
    fell_back: bool = False


Keep = Callable[[Task], Kept]


@dataclass(frozen=True, slots=True)
class Knob:
    """A rival whose size is set by a knob of its own, from a small setting to a large one."""

    run: Callable[[Task, float], Kept]
    told: Callable[[Task], float]
    settings: Callable[[Task], Sequence[float]]
    ordered: bool = True
    """Whether a larger setting never keeps less; if not, every setting is tried."""

    def own(self, task: Task) -> Kept:
        """What it keeps when it is told the budget as its documentation says."""
        return self.run(task, self.told(task))

    def matched(self, task: Task) -> Kept:
        """What it keeps at the setting that uses the most tokens without going over the budget, to one in a hundred.

        The smallest setting is used when none fits; the harness then counts an overrun.
        """
        settings = self.settings(task)
        if not self.ordered:
            sized = [self._sized(task, setting) for setting in settings]
            fitting = [pair for pair in sized if pair[1] <= task.budget]
            return max(fitting, key=_tokens)[0] if fitting else min(sized, key=_tokens)[0]
        low, high = -1, len(settings)
        best: tuple[Kept, int] | None = None
        at = min(bisect_left(settings, self.told(task)), high - 1)
        while True:
            kept, tokens = self._sized(task, settings[at])
            if tokens <= task.budget:
                low = at
                best = (kept, tokens) if best is None or tokens > best[1] else best
            else:
                high = at
            if high - low <= 1 or (best is not None and best[1] >= ENOUGH * task.budget):
                return kept if best is None else best[0]
            # Tokens grow about as the setting does, so the first guess is rarely far off.
            guess = round((at + 1) * task.budget / max(tokens, 1)) - 1
            at = guess if low < guess < high else (low + high) // 2

    def _sized(self, task: Task, setting: float) -> tuple[Kept, int]:
        kept = self.run(task, setting)
        return kept, task.tokens(kept.passages)


def _tokens(pair: tuple[Kept, int]) -> int:
    return pair[1]


Family = Literal["ragthrift", "rival"]


@dataclass(frozen=True, slots=True)
class Arm:
    """A named way to cut. `build` gets the models of the run and raises when something it needs is missing.

    `model` says that it runs a neural model, `heavy` that every budget costs it as much as the first, so that it is
    asked at one budget only unless everything was asked for. `pip` brings what it needs.
    """

    name: str
    build: Callable[[Models], Keep | Knob]
    model: bool = False
    heavy: bool = False
    pip: str = ""
    note: str = ""
    own: bool = False

    @property
    def family(self) -> Family:
        return "ragthrift" if self.name.startswith("ragthrift:") else "rival"

    def ready(self, models: Models) -> Keep:
        """The function that cuts, counting the pairs that a cross-encoder scores."""
        built = self.build(models)
        if isinstance(built, Knob):
            built = replace(built, run=_counted_knob(built.run, models))
            return built.own if self.own else built.matched
        return _counted(built, models)

    def once(self, models: Models) -> Keep:
        """The function to time: one call, as a user of the package would make it, with no search for a setting."""
        built = self.build(models)
        return built.own if isinstance(built, Knob) else built


@dataclass(frozen=True, slots=True)
class NotRun:
    """An arm that was left out, why, and what would bring it in."""

    arm: str
    reason: str
    fix: str = ""


@dataclass(slots=True)
class Roster:
    """The arms of a run and the ones that could not be built."""

    ready: dict[str, Keep] = field(default_factory=dict[str, Keep])
    not_run: list[NotRun] = field(default_factory=list[NotRun])


def muster(arms: Sequence[Arm], models: Models) -> Roster:
    """Build every arm; one that misses a package or a model is listed with the reason."""
    roster = Roster()
    for arm in arms:
        try:
            roster.ready[arm.name] = arm.ready(models)
        except FileNotFoundError as error:  # a missing model says itself what brings it
            roster.not_run.append(NotRun(arm.name, str(error).split("\n")[0]))
        except ImportError as error:
            roster.not_run.append(NotRun(arm.name, str(error).split("\n")[0], arm.pip))
    return roster


def choose(arms: Sequence[Arm], globs: str) -> tuple[Arm, ...]:
    """The arms whose name, or the part of it behind the colon, matches one of the comma-separated globs."""
    patterns = [part.strip() for part in globs.split(",") if part.strip()]
    chosen = tuple(arm for arm in arms if any(_matches(arm.name, pattern) for pattern in patterns))
    if not chosen:
        names = ", ".join(arm.name for arm in arms)
        raise ConfigurationError(f"--arms {globs!r} matches no arm; there are: {names}")
    return chosen


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name.partition(":")[2], pattern)


def _counted(keep: Keep, models: Models) -> Keep:
    def counting(task: Task) -> Kept:
        before = models.pairs
        kept = keep(task)
        return replace(kept, scored_pairs=models.pairs - before)

    return counting


def _counted_knob(run: Callable[[Task, float], Kept], models: Models) -> Callable[[Task, float], Kept]:
    def counting(task: Task, setting: float) -> Kept:
        before = models.pairs
        kept = run(task, setting)
        return replace(kept, scored_pairs=models.pairs - before)

    return counting
