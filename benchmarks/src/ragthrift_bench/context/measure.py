"""What a cut context still holds: the answer, the evidence, how many tokens, and whether its offsets are true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragthrift.tokens import render
from ragthrift.types import Passage
from ragthrift_bench.context.arms import Kept, Task
from ragthrift_bench.harness.match import answered, checkable, found, sentences
from ragthrift_bench.harness.rows import Evidence, Row

Ranges = dict[str, list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Score:
    """The measures of one context. None where the row or the arm has nothing to measure."""

    tokens: int
    overrun: float
    offset_error: float | None
    answer_in_context: float | None
    joint_evidence: float | None
    evidence_recall: float | None
    scored_pairs: int
    abstained: float
    fell_back: float


def score(row: Row, task: Task, kept: Kept) -> Score:
    """Measure what `kept` holds of what the row needs."""
    text = render(kept.passages)
    tokens = task.counter.count(text)
    pieces = evidence_kept(row, kept.passages, text)
    return Score(
        tokens=tokens,
        overrun=float(tokens > task.budget),
        offset_error=offset_error(task.passages, kept.passages),
        answer_in_context=float(answered(text, row.answers)) if checkable(row.answers) else None,
        joint_evidence=float(all(pieces)) if pieces else None,
        evidence_recall=sum(pieces) / len(pieces) if pieces else None,
        scored_pairs=kept.scored_pairs,
        abstained=float(kept.abstained),
        fell_back=float(kept.fell_back),
    )


def evidence_kept(row: Row, kept: Sequence[Passage], text: str) -> list[bool]:
    """For each needed piece of evidence, whether one of its alternatives survived whole.

    A piece survived when its normalised words stand in the context in a row. Where passages are overlapping windows
    it also survived when the windows kept of its document cover it together.
    """
    cover = covered(row.passages, kept) if any(passage.start is not None for passage in row.passages) else {}
    return [
        any(found(evidence.text, text) or _covers(row, cover, evidence) for evidence in piece) for piece in row.gold
    ]


def offset_error(source: Sequence[Passage], kept: Sequence[Passage]) -> float | None:
    """1.0 when a span of a kept passage is not the text it names, None when no offsets are given.

    Between its spans a kept text may hold joiners: white space, dots, brackets and the like, or a word that says that
    something was left out.
    """
    given = [passage for passage in kept if passage.spans]
    if not given:
        return None
    return float(any(not _true(source, passage) for passage in given))


def _true(source: Sequence[Passage], passage: Passage) -> bool:
    if not 0 <= passage.index < len(source):
        return False
    original, at = source[passage.index].text, 0
    for span in passage.spans:
        if not 0 <= span.start < span.end <= len(original):
            return False
        place = passage.text.find(original[span.start : span.end], at)
        if place < 0 or not _joiner(passage.text[at:place]):
            return False
        at = place + span.end - span.start
    return _joiner(passage.text[at:])


def _joiner(text: str) -> bool:
    return not any(letter.isalnum() for letter in text.replace("omitted", ""))


def covered(source: Sequence[Passage], kept: Sequence[Passage]) -> Ranges:
    """The ranges of each document that the kept windows cover, found by text where the arm gives no spans."""
    cover: Ranges = {}
    for passage in kept:
        if not 0 <= passage.index < len(source):
            continue
        window = source[passage.index]
        start = window.start or 0
        cover.setdefault(window.source or window.id, []).extend(
            (start + begin, start + end) for begin, end in _within(window.text, passage)
        )
    return cover


def _within(window: str, passage: Passage) -> list[tuple[int, int]]:
    """The ranges of the window that the kept text consists of."""
    if passage.spans:
        return [(span.start, span.end) for span in passage.spans]
    parts = [passage.text] if passage.text in window else sentences(passage.text.replace("...", "\n"))
    return [(at, at + len(part)) for part in parts if part and (at := window.find(part)) >= 0]


def _covers(row: Row, cover: Ranges, evidence: Evidence) -> bool:
    ranges = cover.get(evidence.passage)
    if not ranges:
        return False
    document = _document(row.passages, evidence.passage)
    at = document.find(evidence.text)
    if at < 0:
        return False
    return all(
        any(begin <= place < end for begin, end in ranges)
        for place in range(at, at + len(evidence.text))
        if document[place].isalnum()
    )


def _document(passages: Sequence[Passage], source: str) -> str:
    """The text that the windows of `source` were cut from."""
    text = ""
    for passage in passages:
        if passage.source == source:
            text = text[: passage.start or 0] + passage.text
    return text
