"""A paragraph into units: sentences, or one line each where its lines are headings or fields."""

from __future__ import annotations

import re

from ragthrift.text.prose import pieces, sentences
from ragthrift.text.unit import Kind, Sheet

LINE_LEVEL = 7
"""The level of a line that only looks like a heading: below every marked one."""

LONG = 400
"""A longer list item or field is worth cutting into sentences."""

_LINE = re.compile(r"[^\r\n]+")
_FIELD = re.compile(
    r"""\s*(?:
        "[^"\r\n]{1,80}"\s*: | [][{}]+,?\s*$                # a line of broken JSON
      | [\w*][\w .()/*-]{0,40}[:=](?:\s|$) | [\w.-]{1,40}=   # Key: value, key = value
      | \[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d                      # a line of a log
    )""",
    re.VERBOSE,
)
_FIELD_SHARE = 0.8

_TITLE_CHARS, _TITLE_WORDS = 60, 9
_UNFINISHED = tuple(".!?:;,…。！？：；，、-–—")
_FINISHED = tuple(".!?:…。！？\"”')")
_STOP = re.compile("[.!?。！？…]")


def add_paragraph(sheet: Sheet, start: int, end: int, *, more: bool) -> None:
    """Write down the lines `text[start:end]`; `more` says that text follows, so that one line can be its heading."""
    text = sheet.text
    if text.find("\n", start, end - 1) < 0 and text.find("\r", start, end - 1) < 0:
        if more and _is_title(text[start:end]):
            sheet.add_heading(LINE_LEVEL, start, end)
        else:
            sheet.block()
            add_prose(sheet, "sentence", start, end)
        return
    lines = [line.span() for line in _LINE.finditer(text, start, end)]
    sheet_lines = [text[first:last] for first, last in lines]
    if sum(1 for line in sheet_lines if _FIELD.match(line)) >= _FIELD_SHARE * len(lines):
        sheet.block()
        for first, last in lines:
            add_item(sheet, first, last)
        return
    at = start
    for index in _titles(sheet_lines):
        first, last = lines[index]
        _add_sentences(sheet, at, first)
        sheet.add_heading(LINE_LEVEL, first, last)
        at = last
    _add_sentences(sheet, at, end)


def add_prose(sheet: Sheet, kind: Kind, start: int, end: int, needs: tuple[int, ...] = ()) -> None:
    """Write down the sentences of `text[start:end]`."""
    for first, last in sentences(sheet.text, start, end, sheet.language, sheet.max_chars):
        sheet.add(kind, first, last, needs)


def add_item(sheet: Sheet, start: int, end: int, needs: tuple[int, ...] = ()) -> None:
    """Write down a list item or a field: one unit, or its sentences when it is long."""
    if end - start > LONG:
        add_prose(sheet, "item", start, end, needs)
        return
    for first, last in pieces(sheet.text, start, end, sheet.max_chars):
        sheet.add("item", first, last, needs)


def _add_sentences(sheet: Sheet, start: int, end: int) -> None:
    if sheet.text[start:end].strip():
        sheet.block()
        add_prose(sheet, "sentence", start, end)


def _titles(lines: list[str]) -> list[int]:
    """The lines that are headings although no blank line follows.

    Such a line begins the paragraph or comes after a full stop, and the first word of the next line would have fitted
    on it: it was broken on purpose.
    """
    found: list[int] = []
    for index in range(len(lines) - 1):
        line, below = lines[index], lines[index + 1]
        if len(line) > _TITLE_CHARS or len(below) <= len(line) + 1 + len(
            below.split(maxsplit=1)[0] if below.strip() else ""
        ):
            continue
        follows = index == 0 or index - 1 in found[-1:] or lines[index - 1].rstrip().endswith(_FINISHED)
        if follows and _begins(below) and _STOP.search(below) and _is_title(line):
            found.append(index)
    return found


def _is_title(line: str) -> bool:
    """Whether a line alone looks like a heading: short, begun like one, not ended like a sentence."""
    line = line.strip()
    if not 2 < len(line) <= _TITLE_CHARS or (line.endswith(_UNFINISHED) and not line.startswith("**")):
        return False
    if line.startswith("**") or line.startswith("__"):
        return line[:2] == line[-2:] and len(line) > 4
    return _begins(line) and len(line.split()) <= _TITLE_WORDS and not _STOP.search(line.rstrip("?!"), 4)


def _begins(line: str) -> bool:
    """Whether `line` begins as headings and sentences do: not with a small letter or a mark."""
    first = line.lstrip()[:1]
    return first.isalnum() and not first.islower()
