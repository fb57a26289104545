"""Reads a structured text line by line, block by block, into units."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

from ragthrift.text import members, table
from ragthrift.text.paragraph import add_item, add_paragraph
from ragthrift.text.unit import Sheet

_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_FENCE = re.compile(r"[ \t]*(?:>[ \t]?)*(`{3,}(?=[^`]*$)|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]|\s*$)")
_UNDERLINE = re.compile(r" {0,3}(={3,}|-{3,}|~{3,}|\^{3,})\s*$")
_BREAK = re.compile(r" {0,3}(?:-[- \t]*-[ \t]*-|\*[* \t]*\*[ \t]*\*|_[_ \t]*_[ \t]*_|={3,}|\^{3,})\s*$")
_ITEM = re.compile(r"([ \t]*)([-*+•‣◦▪●○·–—]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5}|[A-Z](?=\)))[.)])[ \t]+\S")
_OPENER = re.compile(r"[ \t]*(?:[-*+•‣◦▪●○·–—`~#=_^>|\[{(]|\w{1,5}[.)])")
_PROSE = re.compile(r"[.!?:…]['\"”’)]*\s*$|[.!?] [A-Z]")
_CODE = re.compile(r"\w\(|[{};=<>\[\]$\\`|]|\w_\w|::|^\s*(?:[#/]|import |return\b)")

_LEAD_IN = 200
"""The longest line ending in a colon that the list under it cannot do without."""

_LABEL = 80
"""The longest list item that the items inside it cannot do without, colon or not."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A list item that later lines may belong to."""

    indent: int
    content: int
    needs: tuple[int, ...]
    """What an item inside it needs."""


class Scan:
    """Reads the blocks of the sheet's text and writes their units on it."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.lines: list[str] = _LINE.findall(sheet.text)
        self.starts = [0, *accumulate(map(len, self.lines))]
        self.items: list[_Item] = []
        self.siblings: tuple[int, ...] = ()
        """What the outermost items of the list need."""
        self.read_to = 0
        """Up to here a JSON value was looked for in vain: looking there again would take quadratic time."""

    def run(self) -> None:
        """Write down all units."""
        readers = (self.fence, self.json, self.heading, self.rule, self.table, self.item, self.indented, self.paragraph)
        at = self.cut_fence()
        while at < len(self.lines):
            line = self.lines[at]
            if not line.strip():
                at += 1
                continue
            if self.items and not line[0].isspace() and not _ITEM.match(line):
                self.items.clear()
            for read in readers:
                after = read(at)
                if after > at:
                    at = after
                    break

    def cut_fence(self) -> int:
        """The line after the code block that the text begins inside of, 0 when it does not.

        A chunk may have lost the opening fence. Taken for one, the closing fence would turn what is code into prose
        and what is prose into code.
        """
        fences = [at for at, line in enumerate(self.lines) if _FENCE.match(line)][:2]
        first = fences[0] if fences else 0
        if not first or self._has_info(first) or not self.lines[first - 1].strip() or _is_prose(self.lines[:first]):
            return 0
        is_last = len(fences) == 1
        below = self.lines[first + 1].strip() if first + 1 < len(self.lines) else ""
        if below if is_last else not self._has_info(fences[1]):
            return 0
        self._add_code(0, first + 1)
        return first + 1

    def _has_info(self, at: int) -> bool:
        fence = _FENCE.match(self.lines[at])
        return bool(fence and self.lines[at][fence.end() :].strip())

    def fence(self, at: int) -> int:
        """The line after the fenced code block that begins at line `at`, or `at` when none does."""
        opening = _FENCE.match(self.lines[at])
        if not opening:
            return at
        mark = opening[1]
        end = at + 1
        while end < len(self.lines) and not self._closes(end, mark):
            end += 1
        end = min(end + 1, len(self.lines))
        self._add_code(at, end)
        return end

    def _closes(self, at: int, mark: str) -> bool:
        closing = _FENCE.match(self.lines[at])
        return bool(closing and closing[1].startswith(mark) and not self._has_info(at))

    def json(self, at: int) -> int:
        """The line after the JSON array or object that begins at line `at`."""
        start, end = self._json(at)
        if start == end:
            return at
        self.sheet.block()
        members.add_value(self.sheet, start, end)
        return bisect_left(self.starts, end)

    def _json(self, at: int) -> tuple[int, int]:
        """From where to where the JSON array or object reaches that line `at` begins with and that fills its lines."""
        text, line = self.sheet.text, self.lines[at]
        start = self.starts[at] + len(line) - len(line.lstrip())
        if text[start] not in "[{" or start < self.read_to:
            return start, start
        end, whole = members.value_end(text, start)
        if whole and not text[end : self.starts[bisect_left(self.starts, end)]].strip():
            return start, end
        self.read_to = end
        return start, start

    def heading(self, at: int) -> int:
        """The line after the ATX or underlined heading that begins at line `at`."""
        if marked := _ATX.match(self.lines[at]):
            self.sheet.add_heading(len(marked[1]), self.starts[at], self.starts[at + 1])
            return at + 1
        if self._is_underlined(at):
            level = 1 if "=" in self.lines[at + 1] else 2
            self.sheet.add_heading(level, self.starts[at], self.starts[at + 2])
            return at + 2
        return at

    def _is_underlined(self, at: int) -> bool:
        underline = _UNDERLINE.match(self.lines[at + 1]) if at + 1 < len(self.lines) else None
        title = self.lines[at].strip()
        if not underline or (_OPENER.match(title) and not title[0].isalnum()):
            return False
        return underline[1][0] in "=-" or len(underline[1]) >= len(title)  # `~~~` may as well begin a code block

    def rule(self, at: int) -> int:
        """The line after the thematic break at line `at`."""
        if not _BREAK.match(self.lines[at]):
            return at
        self.sheet.block()
        self.sheet.add("sentence", self.starts[at], self.starts[at + 1])
        return at + 1

    def table(self, at: int) -> int:
        """The line after the table that begins at line `at`; its rows need its header."""
        names, size = table.measure(self.lines, at)
        if not size:
            return at
        self.sheet.block()
        header = (self.sheet.add("header", self.starts[at], self.starts[at + names]),) if names else ()
        for row in range(at + names, at + size):
            self.sheet.add("row", self.starts[row], self.starts[row + 1], header)
        return at + size

    def item(self, at: int) -> int:
        """The line after the list item that begins at line `at`, the lines that carry it on included."""
        mark = _ITEM.match(self.lines[at])
        if not mark:
            return at
        indent = _width(mark[1])
        needs = self._above(indent)
        if not self.items:
            self.sheet.block()
        while self.items and self.items[-1].indent >= indent:
            self.items.pop()
        self.items.append(_Item(indent, indent + len(mark[0]) - len(mark[1]) - 1, needs))
        end = at + 1
        while end < len(self.lines) and self.lines[end].strip() and not self._interrupts(end):
            end += 1
        add_item(self.sheet, self.starts[at], self.starts[end], needs)
        last = len(self.sheet.units) - 1
        if self._introduces(last, _LABEL):
            self.items[-1] = _Item(indent, self.items[-1].content, (*needs, last))
        return end

    def _above(self, indent: int) -> tuple[int, ...]:
        """What an item so far in needs: the item that it is inside of, or the line that introduces the list."""
        for item in reversed(self.items):
            if item.indent < indent:
                return item.needs
        if self.items:
            return self.siblings
        last = len(self.sheet.units) - 1
        introduced = last >= 0 and self.sheet.units[last].kind == "sentence" and self._introduces(last, 0)
        self.siblings = (*self.sheet.units[last].needs, last) if introduced else ()
        return self.siblings

    def _introduces(self, unit: int, label: int) -> bool:
        size = self.sheet.units[unit].end - self.sheet.units[unit].start
        return size <= label or (size <= _LEAD_IN and self.sheet.of(unit).endswith((":", "：")))

    def indented(self, at: int) -> int:
        """The line after the indented code block that begins at line `at`."""
        least = 4 + (self.items[-1].content if self.items else 0)
        if not self._is_indented(at, least):
            return at
        end = blank = at + 1
        while blank < len(self.lines) and (self._is_indented(blank, least) or not self.lines[blank].strip()):
            blank += 1
            if self.lines[blank - 1].strip():
                end = blank
        if _is_prose(self.lines[at:end]):
            return at
        self._add_code(at, end)
        return end

    def _is_indented(self, at: int, least: int) -> bool:
        line = self.lines[at]
        return line[0].isspace() and bool(line.strip()) and _width(line[: len(line) - len(line.lstrip())]) >= least

    def paragraph(self, at: int) -> int:
        """The line after the paragraph that begins at line `at`: what is nothing else is one."""
        end = at + 1
        while end < len(self.lines) and self.lines[end].strip() and not self._interrupts(end):
            end += 1
        add_paragraph(self.sheet, self.starts[at], self.starts[end], more=end < len(self.lines))
        return end

    def _interrupts(self, at: int) -> bool:
        """Whether a block other than a paragraph begins at line `at`."""
        line = self.lines[at]
        if self._is_underlined(at):
            return True
        if _OPENER.match(line):
            if _FENCE.match(line) or _ATX.match(line) or _BREAK.match(line) or self._begins_item(line):
                return True
            start, end = self._json(at)
            if end > start:
                return True
        return table.measure(self.lines, at)[1] > 0

    def _begins_item(self, line: str) -> bool:
        """Whether `line` begins an item; in running text only a bullet or a first number does, as in Markdown."""
        mark = _ITEM.match(line)
        return bool(mark) and (bool(self.items) or mark[2] in "-*+•‣◦▪●○" or mark[2].strip("(.)") in ("1", "a", "i"))

    def _add_code(self, at: int, end: int) -> None:
        self.sheet.block()
        self.sheet.add("code", self.starts[at], self.starts[end])


def _is_prose(lines: list[str]) -> bool:
    """Whether indented lines are a paragraph that someone set in, rather than code."""
    sample = lines[:20]
    signs = sum(1 for line in sample if _CODE.search(line))
    return signs * 4 < len(sample) and any(_PROSE.search(line) for line in sample)


def _width(space: str) -> int:
    return len(space.expandtabs(4))
