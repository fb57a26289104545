"""Prose into sentences, and over-long pieces into shorter ones, in linear time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import cast

import sentencex

_WINDOW = 2_048
"""Characters segmented at once: sentencex takes quadratic time where sentences follow each other without a space."""

_WIDEST = 16 * _WINDOW
"""A sentence longer than this is cut before its end is looked for."""

_NEAR = 32
"""How far a cut moves to spare a grapheme."""

# The module is compiled and comes without types.
_find = cast("Callable[[str, str], list[dict[str, int]]]", vars(sentencex)["get_sentence_boundaries"])

_INSIDE = re.compile(r"[a-z0-9/\\_]")
"""What no sentence begins with when no space is before it: `../docs` is one word."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_ODD_SPACE = re.compile(r"[^\S\x00-\x7f]")
_SPACE = re.compile(r"\s")


def sentences(text: str, start: int, end: int, language: str, max_chars: int) -> Iterator[tuple[int, int]]:
    """The sentences of `text[start:end]`, each at most about `max_chars` long, without the whitespace around them."""
    block = _plain(text[start:end])
    for first, last in _rejoined(block, _boundaries(block, language)):
        if last - first <= max_chars:
            yield start + first, start + last
        else:
            yield from pieces(text, start + first, start + last, max_chars)


def pieces(text: str, start: int, end: int, max_chars: int) -> Iterator[tuple[int, int]]:
    """`text[start:end]` cut into parts of about `max_chars`: at a line break, else at a space, else inside a word."""
    while start < end:
        at = end if end - start <= max_chars else cut(text, start, start + max_chars, end)
        if span := _strip(text, start, at):
            yield span
        start = at


def cut(text: str, start: int, limit: int, end: int) -> int:
    """Where to end the piece that begins at `start`, at `limit` or somewhat before; never inside a grapheme.

    Only a grapheme of more than `_NEAR` code points is cut.
    """
    half = start + (limit - start) // 2
    at = text.rfind("\n", half, limit) + 1 or _last_space(text, half, limit) or _last_space(text, start, half)
    if at > start and not _inside_grapheme(text, start, at):
        return at
    for back in range(limit, max(start, limit - _NEAR), -1):
        if not _inside_grapheme(text, start, back):
            return back
    for forth in range(limit + 1, min(end, limit + _NEAR)):
        if not _inside_grapheme(text, start, forth):
            return forth
    return limit if end - limit > _NEAR else end


def _plain(block: str) -> str:
    """`block`, character for character, with what sentencex cannot take replaced.

    It refuses lone surrogates, and panics on spaces outside ASCII beside an initial.
    """
    if block.isascii():
        return block
    return _ODD_SPACE.sub(" ", _SURROGATE.sub("\ufffd", block))


def _boundaries(block: str, language: str) -> Iterator[tuple[int, int]]:
    """Sentences of `block`, found window by window; the last one of a window is found again in the next."""
    at, width = 0, _WINDOW
    while at < len(block):
        end = len(block) if len(block) - at <= width else cut(block, at, at + width, len(block))
        ends = _segment(block[at:end], language)
        if end < len(block):
            if len(ends) == 1 and width < _WIDEST:
                width *= 2
                continue
            ends = ends[:-1] or ends
        begin = at
        for last in ends:
            if span := _strip(block, begin, at + last):
                yield span
            begin = at + last
        at, width = begin, _WINDOW


def _segment(window: str, language: str) -> list[int]:
    """Where the sentences of `window` end, in rising order; the last end is that of the window."""
    try:
        found = _find(language, window)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a Rust panic is no Exception, and its class cannot be imported
            raise
        return [len(window)]
    ends = [boundary["end_index"] for boundary in found]
    if not ends or ends[-1] != len(window):
        ends = [*(end for end in ends if end < len(window)), len(window)]
    return ends


def _rejoined(block: str, spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """`spans`, joined to the sentence before where they are mere punctuation or go on in the middle of a word."""
    held: tuple[int, int] | None = None
    for start, end in spans:
        bare = end - start <= 3 and not any(map(str.isalnum, block[start:end]))
        if held and (bare or (held[1] == start and _INSIDE.match(block, start))):
            held = held[0], end
            continue
        if held:
            yield held
        held = start, end
    if held:
        yield held


def _strip(text: str, start: int, end: int) -> tuple[int, int] | None:
    bare = text[start:end].lstrip()
    if not bare:
        return None
    start = end - len(bare)
    return start, start + len(bare.rstrip())


def _last_space(text: str, start: int, end: int) -> int:
    """The position after the last whitespace of `text[start:end]`, 0 when there is none."""
    at = 0
    for space in _SPACE.finditer(text, start, end):
        at = space.end()
    return at


def _inside_grapheme(text: str, start: int, at: int) -> bool:
    """Whether a cut before `text[at]` would part what is seen as one character; `start` begins one."""
    if not start < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if after.isascii():
        return before == "\r" and after == "\n"
    return (
        unicodedata.category(after) in {"Mn", "Mc", "Me"}
        or "\u200d" in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # tags of regional flags
        or "\u1160" <= after <= "\u11ff"  # vowels and finals of a Hangul syllable
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
        or (_is_regional(before) and _is_regional(after) and _regionals_before(text, start, at) % 2 == 1)
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regionals_before(text: str, start: int, at: int) -> int:
    """How many regional indicators stand in a row between `start` and `at`: two make a flag."""
    first = at
    while first > start and _is_regional(text[first - 1]):
        first -= 1
    return at - first
