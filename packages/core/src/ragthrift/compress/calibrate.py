"""How much evidence must be kept so that at most a stated share of questions loses any, with a bound that holds.

The selection keeps every unit that is worth at least some share of the best one. A smaller share keeps a superset, so
the loss can only fall with it, and the largest share whose loss is bounded is the one to use: conformal risk control
(Angelopoulos et al., arXiv 2208.02814) for the expected loss, and the upper-bound form of Bates et al. (arXiv
2101.02703) with the exact Clopper-Pearson bound for a loss that holds with a stated confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragthrift.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ragthrift.compress.compressor import Compressor
    from ragthrift.types import Passage, Span


@dataclass(frozen=True, slots=True)
class Certificate:
    """The least worth of a kept unit that holds the loss at or below `max_loss`, and the evidence for it.

    `rows` labelled questions were looked at, of which `lost` lose some evidence at this worth. `bound` is the upper end
    of the loss: with `confidence`, or in expectation when `confidence` is None. `models` names what scored the units;
    the certificate holds for the same models only, and for questions like those it was made from.
    """

    max_loss: float
    worth: float
    rows: int
    lost: int
    bound: float
    confidence: float | None
    models: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question with its passages and where the evidence lies: (index of the passage, range of its text)."""

    query: str
    passages: tuple[Passage, ...]
    evidence: tuple[tuple[int, Span], ...]


def calibrate(
    rows: Iterable[Labelled], compressor: Compressor, *, max_loss: float = 0.02, confidence: float | None = 0.95
) -> Certificate:
    """The certificate for `compressor` on the caller's own labelled rows; rows without evidence say nothing.

    Raises ConfigurationError when there are too few rows for the promise, saying how many are needed.
    """
    worths = [compressor.worth_needed(row) for row in rows if row.evidence]
    return certify(worths, max_loss=max_loss, confidence=confidence, models=compressor.models)


def certify(worths: Sequence[float], *, max_loss: float, confidence: float | None, models: str) -> Certificate:
    """The largest worth that keeps the promise, given the largest at which each row loses nothing."""
    if not 0 < max_loss < 1:
        raise ConfigurationError(f"max_loss must lie between 0 and 1, got {max_loss!r}")
    if confidence is not None and not 0 < confidence < 1:
        raise ConfigurationError(f"confidence must lie between 0 and 1, or be None, got {confidence!r}")
    rows = len(worths)
    lost = _most_lost(rows, max_loss, confidence)
    if lost < 0:
        least = (
            math.ceil(math.log(1 - confidence) / math.log(1 - max_loss)) if confidence else math.ceil(1 / max_loss) - 1
        )
        raise ConfigurationError(
            f"max_loss={max_loss!r} needs at least {least} labelled rows, got {rows}: give more rows or allow more loss"
        )
    worth = sorted(worths)[lost]
    return Certificate(
        max_loss, worth, rows, sum(one < worth for one in worths), _bound(rows, lost, confidence), confidence, models
    )


def _most_lost(rows: int, max_loss: float, confidence: float | None) -> int:
    """The most rows that may lose evidence with the bound still at or below `max_loss`; -1 when not even none may."""
    lost = -1
    while lost + 1 < rows and _bound(rows, lost + 1, confidence) <= max_loss:
        lost += 1
    return lost


def _bound(rows: int, lost: int, confidence: float | None) -> float:
    if confidence is None:
        return (lost + 1) / (rows + 1)
    return clopper_pearson_upper(lost, rows, confidence)


def clopper_pearson_upper(errors: int, trials: int, confidence: float) -> float:
    """The exact one-sided upper bound of a share (Clopper and Pearson 1934), found by bisection."""
    if errors >= trials:
        return 1.0
    low, high = errors / trials, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _binomial_tail(errors, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _binomial_tail(errors: int, trials: int, share: float) -> float:
    """The probability of at most `errors` among `trials`."""
    if share >= 1:
        return 0.0
    logs = (
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + (k * math.log(share) if k else 0.0)
        + (trials - k) * math.log1p(-share)
        for k in range(errors + 1)
    )
    return math.fsum(map(math.exp, logs))
