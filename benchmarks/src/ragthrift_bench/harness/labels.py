"""Rows as the labelled questions that fitting and calibration learn from."""

from __future__ import annotations

from collections.abc import Iterable

from ragthrift.compress import Labelled
from ragthrift.types import Span
from ragthrift_bench.harness.rows import Row


def labelled(rows: Iterable[Row]) -> list[Labelled]:
    """The rows whose evidence is known, with where it lies."""
    found = (Labelled(row.question, row.passages, evidence(row)) for row in rows)
    return [row for row in found if row.evidence]


def evidence(row: Row) -> tuple[tuple[int, Span], ...]:
    """Where the evidence of a row lies: (index of the passage, range), in every window that shows a part of it.

    A piece that several sentences supply is looked for in the first of them.
    """
    texts = _documents(row)
    ranges: list[tuple[int, Span]] = []
    for piece in row.gold:
        first = piece[0]
        start = texts[first.passage].find(first.text)
        for index, passage in enumerate(row.passages):
            shift = passage.start or 0
            low, high = max(start, shift) - shift, min(start + len(first.text) - shift, len(passage.text))
            if start >= 0 and (passage.source or passage.id) == first.passage and low < high:
                ranges.append((index, Span(low, high)))
    return tuple(ranges)


def _documents(row: Row) -> dict[str, str]:
    """The text of each document of the row, put together again where the passages are windows of it."""
    texts: dict[str, str] = {}
    for passage in row.passages:
        name = passage.source or passage.id
        texts[name] = texts.get(name, "")[: passage.start or 0] + passage.text
    return texts
