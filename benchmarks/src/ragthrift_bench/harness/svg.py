"""Curves as inline SVG: quality against a cost, with interval bars, readable in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 620, 340
LEFT, RIGHT, TOP, BOTTOM = 54, 16, 14, 46


@dataclass(frozen=True, slots=True)
class Point:
    """A measured point: what it cost, how good it was, and the interval of the latter."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one arm. `style` picks its colour and line from the page's style sheet."""

    name: str
    points: tuple[Point, ...]
    style: str
    shown: bool = True
    line: bool = True


def chart(
    series: Sequence[Series], *, title: str, x_label: str, y_label: str, level: tuple[str, float] | None = None
) -> str:
    """One chart and its legend. `level` is a named height drawn across, such as the full context's score."""
    points = [point for one in series for point in one.points]
    if not points:
        return ""
    xs = [point.x for point in points if point.x > 0]
    heights = [y for point in points for y in (point.y, point.low, point.high) if y is not None]
    heights += [level[1]] if level else []
    frame = _Frame(min(xs), max(xs), _floor(min(heights)), _ceil(max(heights)))
    inside = [frame.grid(x_label, y_label)]
    if level:
        y = frame.y(level[1])
        inside.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        inside.append(f'<text class="tick" x="{LEFT + 6}" y="{y - 5:.1f}">{escape(level[0])}</text>')
    inside += [_drawn(one, at, frame) for at, one in reversed(list(enumerate(series)))]  # the first one lies on top
    legend = "".join(
        f'<button type="button" class="key {one.style}{"" if one.shown else " off"}" data-series="{at}" '
        f'aria-pressed="{"true" if one.shown else "false"}"><i></i>{escape(one.name)}</button>'
        for at, one in enumerate(series)
    )
    return (
        f'<figure class="chart"><figcaption>{escape(title[:1].upper() + title[1:])}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(inside)}</svg>'
        f'<div class="legend">{legend}</div></figure>'
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    left: float
    right: float
    bottom: float
    top: float

    def x(self, value: float) -> float:
        span = math.log(self.right / self.left) or 1.0
        place = math.log(max(value, self.left) / self.left) / span if self.right > self.left else 0.5
        return LEFT + 10 + place * (WIDTH - LEFT - RIGHT - 20)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.bottom) / (self.top - self.bottom) * (HEIGHT - TOP - BOTTOM)

    def grid(self, x_label: str, y_label: str) -> str:
        parts: list[str] = []
        for value in _steps(self.bottom, self.top):
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" text-anchor="end" x="{LEFT - 7}" y="{y + 4:.1f}">{value:.0%}</text>')
        for value in _decades(self.left, self.right):
            x = self.x(value)
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 5}"/>'
            )
            parts.append(
                f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}">{value:,g}</text>'
            )
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(
            f'<text class="axis" text-anchor="middle" x="{middle:.0f}" y="{HEIGHT - 8}">{escape(x_label)}</text>'
        )
        parts.append(
            f'<text class="axis" text-anchor="middle" '
            f'transform="translate(13 {(HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)">'
            f"{escape(y_label)}</text>"
        )
        return "".join(parts)


def _drawn(one: Series, at: int, frame: _Frame) -> str:
    places = [(frame.x(point.x), frame.y(point.y), point) for point in sorted(one.points, key=lambda point: point.x)]
    parts: list[str] = []
    if one.line and len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
        parts.append(f'<polyline points="{path}"/>')
    for x, y, point in places:
        if point.low is not None and point.high is not None:
            low, high = frame.y(point.low), frame.y(point.high)
            parts.append(f'<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6"><title>{escape(f"{one.name}: {point.note}")}</title></circle>'
        )
    hidden = "" if one.shown else ' style="display:none"'
    return f'<g class="series {one.style}" data-series="{at}"{hidden}>{"".join(parts)}</g>'


def _floor(value: float) -> float:
    return max(0.0, math.floor(value * 10) / 10)


def _ceil(value: float) -> float:
    return max(0.1, math.ceil(value * 10 - 1e-9) / 10)


def _steps(low: float, high: float) -> list[float]:
    step = 0.1 if high - low <= 0.6 else 0.2
    first = math.ceil(low / step - 1e-9)
    return [step * at for at in range(first, first + 12) if step * at <= high + 1e-9]


def _decades(low: float, high: float) -> list[float]:
    """Round numbers between `low` and `high`, few enough to be read."""
    digits = (1, 2, 5) if high / low > 12 else (1, 1.5, 2, 3, 4, 5, 7)
    found: list[float] = []
    for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1):
        found += [digit * 10.0**power for digit in digits if low * 0.999 <= digit * 10.0**power <= high * 1.001]
    return found or [low]
