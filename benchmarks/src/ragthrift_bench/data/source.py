"""What the authors wrote: documents cut into chunks, and questions with their quotes."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ragthrift.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK_BYTES = 640
"""Bytes of UTF-8 and not characters, so that passages cost about the same number of tokens in every script."""
QTYPES = (
    "single",
    "bridge",
    "comparison",
    "table",
    "code",
    "json",
    "list",
    "near_miss",
    "multilingual",
    "unanswerable",
    "aggregation",
)
_FENCED_OR_PARAGRAPH = re.compile(r"^```.*?^```[^\S\n]*$|[^\n]+(?:\n(?!```)[^\n]+)*", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage as an index would hold it: a verbatim piece of one document under the document's title."""

    id: str
    doc: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question as its author wrote it.

    `evidence` pairs a document with a verbatim quote from it. `near` names documents that must be in the pool as
    distractors, `without` documents that must not, and `absent` answers that no passage of the pool may hold (for a
    question whose gold document was taken away).
    """

    id: str
    qtype: str
    ask: str
    answers: tuple[str, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()
    near: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def chunks(corpus: Path) -> list[Chunk]:
    """Every document of the folder, in the order of the file names, cut at block borders."""
    return [chunk for file in sorted(corpus.glob("*.md")) for chunk in _chunks(file)]


def _chunks(file: Path) -> list[Chunk]:
    first, _, body = file.read_text("utf-8").partition("\n")
    if not first.startswith("# "):
        raise DataError(f"{file.name}, line 1: wants '# ' and the title, got {first!r}")
    cuts = enumerate(_cuts(body), 1)
    return [Chunk(f"{file.stem}#{n}", file.stem, first[2:], body[start:end]) for n, (start, end) in cuts]


def _cuts(body: str) -> Iterator[tuple[int, int]]:
    """Ranges of at most `CHUNK_BYTES`, or one block where a block is longer; a heading stays with what follows."""
    start = end = -1
    after_heading = False
    for block in _FENCED_OR_PARAGRAPH.finditer(body):
        if start < 0:
            start = block.start()
        elif len(body[start : block.end()].encode()) > CHUNK_BYTES and not after_heading:
            yield start, end
            start = block.start()
        end = block.end()
        after_heading = block[0].startswith("#") and "\n" not in block[0]
    if start >= 0:
        yield start, end


def questions(folder: Path) -> list[Question]:
    """The questions of `folder/QTYPE.toml`, in the order of `QTYPES` and then of the file."""
    return [question for qtype in QTYPES for question in _questions(folder / f"{qtype}.toml", qtype)]


def _questions(file: Path, qtype: str) -> Iterator[Question]:
    for slug, fields in tomllib.loads(file.read_text("utf-8")).items():
        yield _question(f"{qtype}/{slug}", qtype, fields)


def _question(name: str, qtype: str, fields: dict[str, Any]) -> Question:
    if unknown := fields.keys() - {"ask", "answers", "evidence", "near", "without", "absent"}:
        raise DataError(f"{name}: unknown field {sorted(unknown)!r}")
    if "ask" not in fields:
        raise DataError(f"{name}: the field 'ask' is missing")
    pairs = cast("list[tuple[str, str]]", fields.get("evidence", []))
    return Question(
        id=name,
        qtype=qtype,
        ask=fields["ask"],
        answers=tuple(fields.get("answers", ())),
        evidence=tuple((doc, quote) for doc, quote in pairs),
        near=tuple(fields.get("near", ())),
        without=tuple(fields.get("without", ())),
        absent=tuple(fields.get("absent", ())),
    )
