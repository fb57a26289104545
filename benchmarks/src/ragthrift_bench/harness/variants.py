"""Variants of a set that ask a harder question of the same rows."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace

from ragthrift.types import Passage
from ragthrift_bench.harness.match import answered
from ragthrift_bench.harness.rows import DataSet, Row

WINDOW = 512
OVERLAP = 64
REMOVED_PERCENT = 30


def untitled(data: DataSet) -> DataSet:
    """No titles, and each passage cut into 512-character windows that overlap by 64."""
    return replace(data, rows=tuple(replace(row, passages=_windows(row)) for row in data.rows))


def shuffled(data: DataSet) -> DataSet:
    """The passages of each row in an order drawn from the row's id."""
    return replace(data, rows=tuple(_shuffle(row) for row in data.rows))


def gold_removed(data: DataSet) -> DataSet:
    """For 30 % of the answerable rows every gold passage and every passage that names an answer is taken out.

    These rows become unanswerable. A row that would lose all of its passages stays as it is.
    """
    return replace(data, rows=tuple(_remove(row) if _chosen(row) else row for row in data.rows))


VARIANTS: dict[str, Callable[[DataSet], DataSet]] = {
    "untitled": untitled,
    "shuffled": shuffled,
    "gold_removed": gold_removed,
}


def windows(text: str, size: int = WINDOW, overlap: int = OVERLAP) -> list[tuple[int, int]]:
    """The `[start, end)` of windows of `size` characters that share `overlap` with the one before."""
    if len(text) <= size:
        return [(0, len(text))]
    starts = range(0, len(text) - overlap, size - overlap)
    return [(start, min(start + size, len(text))) for start in starts]


def _windows(row: Row) -> tuple[Passage, ...]:
    return tuple(
        Passage(text=passage.text[start:end], id=f"{passage.id}#{number}", source=passage.id, start=start)
        for passage in row.passages
        for number, (start, end) in enumerate(windows(passage.text))
    )


def _shuffle(row: Row) -> Row:
    passages = list(row.passages)
    random.Random(row.id).shuffle(passages)
    place = next((at for at, passage in enumerate(passages) if passage.id in row.gold_passages), None)
    return replace(row, passages=tuple(passages), gold_position=None if row.gold_position is None else place)


def _chosen(row: Row) -> bool:
    digest = hashlib.sha256(f"gold_removed {row.id}".encode()).hexdigest()
    return bool(row.answers) and int(digest, 16) % 100 < REMOVED_PERCENT


def _remove(row: Row) -> Row:
    left = tuple(
        passage
        for passage in row.passages
        if passage.id not in row.gold_passages and not answered(passage.text, row.answers)
    )
    if not left:
        return row
    return replace(
        row, passages=left, answers=(), gold=(), gold_passages=frozenset(), gold_position=None, qtype="unanswerable"
    )
