"""What the engines that make a context lean share: passages numbered, settings checked, results timed and reported."""

from __future__ import annotations

import time
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING

from ragthrift.errors import ConfigurationError
from ragthrift.events import emit
from ragthrift.types import Lean, Passage

if TYPE_CHECKING:
    from collections.abc import Sequence


def numbered(passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """The passages with their places filled in; text and titles that are no text are read as empty."""
    return tuple(
        replace(
            passage,
            index=index,
            spans=(),
            text=_text(passage.text),
            title=_text(passage.title),
            tail=_text(passage.tail),
            label=passage.label if passage.label is None else _text(passage.label),
            score=passage.score if is_number(passage.score) else None,
        )
        for index, passage in enumerate(passages)
    )


def missing(passages: Sequence[Passage], kept: Sequence[Passage]) -> tuple[Passage, ...]:
    """The passages of which nothing was kept."""
    held = {passage.index for passage in kept}
    return tuple(passage for passage in passages if passage.index not in held)


def reported(name: str, passages: tuple[Passage, ...], lean: Lean, start: float, *, shadow: bool) -> Lean:
    """The result with its time since `start`, told to every listener under the engine's name.

    In shadow mode what would have happened is reported and the passages come back as they were.
    """
    receipt = replace(lean.receipt, elapsed_ms=(time.perf_counter() - start) * 1000, shadow=shadow)
    for reason in receipt.fallbacks:
        emit(f"{name}.fallback", reason=reason)
    emit(
        f"{name}.done",
        tokens_before=lean.tokens_before,
        tokens_after=lean.tokens_after,
        elapsed_ms=receipt.elapsed_ms,
        scored_pairs=receipt.scored_pairs,
        shadow=shadow,
    )
    if shadow:
        return Lean(passages, (), lean.tokens_before, lean.tokens_before, receipt)
    return replace(lean, receipt=receipt)


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise a ConfigurationError unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_share(name: str, value: float) -> None:
    """Raise a ConfigurationError unless `value` is a number between 0 and 1."""
    if not is_number(value) or not 0 <= value <= 1:
        raise ConfigurationError(f"{name} must lie between 0 and 1, got {value!r}")


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """Raise a ConfigurationError unless `value` is a whole number of at least `least`, or None."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise ConfigurationError(f"{name} must be a whole number of at least {least}, or None, got {value!r}")


def check_timeout(timeout_s: float | None) -> None:
    """Raise a ConfigurationError unless the limit is above 0 s, or None."""
    if timeout_s is not None and (not is_number(timeout_s) or not timeout_s > 0):
        raise ConfigurationError(f"timeout_s must be above 0, or None for no limit, got {timeout_s!r}")


def check_text(name: str, value: object) -> None:
    """Raise a ConfigurationError unless `value` is a string."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, got {value!r}")


def check_part(name: str, value: object, *methods: str) -> None:
    """Raise a ConfigurationError unless `value` has one of `methods`: an engine would fail open on it for good."""
    if isinstance(value, type) or not any(callable(getattr(value, method, None)) for method in methods):
        raise ConfigurationError(f"{name} must be an object with a method {' or '.join(methods)}, got {value!r}")


def is_number(value: object) -> bool:
    """Whether `value` is a number; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Real)


def _text(content: object) -> str:
    return content if isinstance(content, str) else ""
