"""Paired bootstrap over questions, Holm's correction, and the area under a curve of quality against tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, its 95 % interval and the number of questions behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference of two arms over the same questions, its 95 % interval and its two-sided p."""

    value: float
    low: float
    high: float
    n: int
    p: float


class Bootstrap:
    """Draws the questions of one set again and again; every metric of the set uses the same draws."""

    def __init__(self, n: int, *, seed: int = 0, resamples: int = RESAMPLES) -> None:
        random = np.random.default_rng(seed)
        self.n = n
        draws = random.multinomial(n, np.full(n, 1 / n), size=resamples) if n else np.zeros((resamples, 0))
        self.weights: NDArray[np.float32] = draws.astype(np.float32)

    def mean(self, values: Sequence[float | None]) -> Estimate | None:
        """The mean over the questions that have a value, None when none has."""
        column, there = _column(values)
        n = int(there.sum())
        if not n:
            return None
        draws = self._means(column, there)
        low, high = np.nanquantile(draws, (0.025, 0.975))
        return Estimate(float(column[there].mean()), float(low), float(high), n)

    def difference(self, ours: Sequence[float | None], theirs: Sequence[float | None]) -> Difference | None:
        """How much `ours` lies above `theirs` on the questions that both have a value for."""
        (mine, has), (other, had) = _column(ours), _column(theirs)
        there = has & had
        n = int(there.sum())
        if not n:
            return None
        gap = np.where(there, mine - other, 0.0)
        draws = self._means(gap, there)
        draws = draws[~np.isnan(draws)]
        low, high = np.quantile(draws, (0.025, 0.975))
        # One is added to both counts: a bootstrap cannot show a p of zero.
        tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
        p = min(1.0, 2 * (tail + 1) / (len(draws) + 1))
        return Difference(float(gap[there].mean()), float(low), float(high), n, p)

    def ratio(self, ours: Sequence[float | None], theirs: Sequence[float | None]) -> Estimate | None:
        """The mean of `ours` as a share of the mean of `theirs`, None when that is zero."""
        (mine, has), (other, had) = _column(ours), _column(theirs)
        there = has & had
        n = int(there.sum())
        if not n or not other[there].mean():
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = self._means(mine, there) / self._means(other, there)
        low, high = np.nanquantile(draws[np.isfinite(draws)], (0.025, 0.975))
        return Estimate(float(mine[there].mean() / other[there].mean()), float(low), float(high), n)

    def _means(self, column: Values, there: NDArray[np.bool_]) -> Values:
        """The mean of each draw; a draw that met no question with a value is left out as NaN."""
        total = self.weights @ np.where(there, column, 0.0).astype(np.float32)
        count = self.weights @ there.astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (total / count).astype(np.float64)


def _column(values: Sequence[float | None]) -> tuple[Values, NDArray[np.bool_]]:
    column = np.array([math.nan if value is None else float(value) for value in values], dtype=np.float64)
    return column, ~np.isnan(column)


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Each p after Holm's step-down correction for the number of arms compared."""
    adjusted: dict[str, float] = {}
    worst = 0.0
    for rank, (name, p) in enumerate(sorted(ps.items(), key=lambda item: (item[1], item[0]))):
        worst = max(worst, min(1.0, p * (len(ps) - rank)))
        adjusted[name] = worst
    return adjusted


def area(points: Sequence[tuple[float, float]]) -> float | None:
    """The mean height of the curve through `(tokens share, quality)` over the logarithm of the share."""
    line = sorted({share: quality for share, quality in points if share > 0}.items())
    if len(line) < 2:
        return None
    x = np.log([share for share, _ in line])
    y = np.array([quality for _, quality in line])
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))
