"""A text into its units."""

from __future__ import annotations

import re

from ragthrift.errors import ConfigurationError
from ragthrift.text.paragraph import add_paragraph
from ragthrift.text.scan import Scan
from ragthrift.text.unit import Sheet, Unit

_STRUCTURE = re.compile(r"\n(?:[ \t]*(?:[-*+•‣◦▪●○·–—`~#=_^>|\[{(]|\w{1,5}[.)])|[ \t]{4}|\t)|[\t|\r]|[,;][^\s\d\"'”’)]")
"""A sign that a text may hold anything but paragraphs; it may come up in vain."""

_BLANK = re.compile(r"\n[^\S\n]*\n\s*")


def units(text: str, *, language: str = "en", max_chars: int = 1200) -> list[Unit]:
    """The evidence units of `text` in order; together they hold every character that is not whitespace, once.

    Sentences are found by the rules of `language`. One longer than `max_chars` is cut at whitespace, or inside a word
    when there is none, and a larger JSON text falls into its members; code blocks, table rows and JSON members that
    cannot be divided stay whole.
    """
    if max_chars < 1:
        raise ConfigurationError(f"max_chars must be at least 1, got {max_chars!r}")
    sheet = Sheet(text, language, max_chars)
    if _STRUCTURE.search(f"\n{text}"):
        Scan(sheet).run()
    else:
        _paragraphs(sheet)
    return sheet.units


def _paragraphs(sheet: Sheet) -> None:
    start = 0
    for gap in _BLANK.finditer(sheet.text):
        if gap.start() > start:
            add_paragraph(sheet, start, gap.start(), more=gap.end() < len(sheet.text))
        start = gap.end()
    if sheet.text[start:].strip():
        add_paragraph(sheet, start, len(sheet.text), more=False)
