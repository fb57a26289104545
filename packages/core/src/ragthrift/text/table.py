"""Recognises tables: Markdown pipe tables, and lines of values with tabs, commas or semicolons between them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"(?!(?:19|20)\d\d$)[^\w]*\d[\d\W]*$")
"""A value, not the name of a column; a year can be one."""

_LONGEST_NAME = 60


def measure(lines: Sequence[str], at: int) -> tuple[int, int]:
    """How many lines from `at` on are the header of a table, and how many the whole table; (0, 0) if there is none."""
    line = lines[at]
    if "|" in line:
        return _pipes(lines, at)
    if "\t" in line or "," in line or ";" in line:
        return _separated(lines, at)
    return 0, 0


def _pipes(lines: Sequence[str], at: int) -> tuple[int, int]:
    has_rule = at + 1 < len(lines) and _is_rule(lines[at + 1])
    end = at + 2 if has_rule else at + 1
    while end < len(lines) and "|" in lines[end] and (has_rule or _is_edged(lines[end])):
        end += 1
    if has_rule:
        return 2, end - at
    if end - at < 2 or not _is_edged(lines[at]):
        return 0, 0
    first, second = _cells(lines[at], "|"), _cells(lines[at + 1], "|")
    # Without a rule this may be the middle of a table that was cut: names above numbers are the only sign of a header.
    named = _are_names(first) and any(map(_NUMBER.match, second))
    return int(named), end - at


def _is_rule(line: str) -> bool:
    bare = line.strip()
    return "-" in bare and ("|" in bare or "+" in bare) and not bare.strip("|:-+ \t")


def _is_edged(line: str) -> bool:
    bare = line.strip()
    return len(bare) > 1 and bare[0] == "|" == bare[-1]


def _separated(lines: Sequence[str], at: int) -> tuple[int, int]:
    for separator, least in (("\t", 2), (",", 3), (";", 3)):
        count = _count(lines[at], separator)
        if not count:
            continue
        end = at + 1
        while end < len(lines) and lines[end].strip() and _count(lines[end], separator) == count:
            end += 1
        if end - at >= least and not (lines[at][0] == lines[at + 1][0] == "\t"):  # else indented code
            return int(_are_names(_cells(lines[at], separator))), end - at
    return 0, 0


def _count(line: str, separator: str) -> int:
    """How many separators stand in `line`, 0 when it reads like prose."""
    if separator not in line:
        return 0
    line = _QUOTED.sub("q", line).rstrip("\r\n")
    if separator != "\t" and (f"{separator} " in line or separator not in line.rstrip(separator)):
        return 0
    return line.count(separator)


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in line.strip("\r\n |").split(separator)]


def _are_names(cells: Sequence[str]) -> bool:
    return all(len(cell) <= _LONGEST_NAME and not _NUMBER.match(cell) for cell in cells) and all(cells[1:])
