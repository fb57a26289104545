"""What holds for the units of any text."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from ragthrift.text import Unit, stem, units, words

ODD = [
    "\r\n", "\n\n", "\r", "\t", " ", "\xa0", "\u2028", "\u3000", "\x85", "\x00", "\x0c", "\ud800", "\udc00", "\u0301",
    "\u200d", "👩‍👩‍👧", "🇩🇪", "𝔘", "שלום. ", "مرحبا؟ ", "你好。", "สวัสดี", "A.",
    "Dr. ", "e.g. ", "p.m. ", "…", "?!", "“", "”", "(", ")",
]  # fmt: skip
MARKS = [
    "# T\n", "T\n===\n", "\n---\n", "- a ", "\n  - b", "1. ", "• c\n", "```\n", "~~~", "> q\n",
    "|a|b|\n", "|-|-|\n", "a\tb\n",
    "a,b,c\n", "Key: v\n", '{"a": ', "[1, ", "]", "}", '"x"', ",", "    code()\n", "\tcode;\n",
    "Title\n", "Word word. ", "::",
]  # fmt: skip

mixed = st.lists(st.sampled_from(ODD + MARKS) | st.text(max_size=5), max_size=50).map("".join)
any_text = mixed | st.text(st.characters(exclude_categories=[]), max_size=200)
sizes = st.sampled_from([1, 2, 7, 30, 1200])
languages = st.sampled_from(["en", "de", "ja", "hi", "ar", "my", "xx", ""])

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)
documents = st.lists(values, min_size=1) | st.dictionaries(st.text(max_size=8), values, min_size=1)

cells = st.text(st.characters(categories=["L", "N"], include_characters=" "), min_size=1, max_size=8).map(
    lambda cell: cell.strip() or "x"
)
rows = st.lists(st.lists(cells, min_size=2, max_size=2).map(lambda row: f"| {row[0]} | {row[1]} |"), min_size=1)
fences = st.lists(mixed.map(lambda line: line.replace("`", "'")), max_size=4).map(
    lambda lines: "```py\n" + "\n".join(lines) + "\n```"
)


def held(text: str, found: list[Unit]) -> None:
    at = 0
    for index, unit in enumerate(found):
        assert at <= unit.start < unit.end <= len(text)
        assert not text[at : unit.start].strip(), "a character is in no unit"
        assert text[unit.start : unit.end] == text[unit.start : unit.end].strip()
        assert all(0 <= need < index for need in unit.needs)
        assert all(set(found[need].needs) <= set(unit.needs) for need in unit.needs)
        assert unit.heading == -1 or (unit.heading < index and found[unit.heading].kind == "heading")
        assert unit.paragraph - (found[index - 1].paragraph if index else -1) in ({0, 1} if index else {1})
        at = unit.end
    assert not text[at:].strip(), "a character is in no unit"


@settings(max_examples=1500, deadline=None)
@given(any_text, languages, sizes)
def test_units_hold_every_character_once_in_order(text: str, language: str, size: int):
    found = units(text, language=language, max_chars=size)
    held(text, found)
    assert found == units(text, language=language, max_chars=size)


@settings(max_examples=300, deadline=None)
@given(mixed)
def test_prose_units_keep_to_the_size(text: str):
    for unit in units(text, max_chars=40):
        assert unit.kind in {"heading", "code", "row", "header", "json"} or unit.end - unit.start <= 40 + 32


@settings(max_examples=300, deadline=None)
@given(documents, st.sampled_from([None, 1, "\t"]), sizes)
def test_each_json_unit_holds_whole_values(document: object, indent: int | str | None, size: int):
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    found = units(text, max_chars=size)
    held(text, found)
    assert {unit.kind for unit in found} == {"json"}
    for unit in found:
        part = text[unit.start : unit.end].rstrip(",")
        opens, closes = part.endswith(("[", "{")), part in ("]", "}")
        if not opens and not closes:
            assert parses(part) or parses("{" + part + "}")


def parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(mixed.map(lambda text: text.replace("`", "").replace("~", "")), fences, mixed, sizes)
def test_a_fence_is_never_split(before: str, fence: str, after: str, size: int):
    text = f"{before}\n\n{fence}\n\n{after}"
    start = len(before) + 2
    found = units(text, max_chars=size)
    held(text, found)
    assert [(u.start, u.end) for u in found if u.end > start and u.start < start + len(fence)] == [
        (start, start + len(fence))
    ]


@settings(max_examples=300, deadline=None)
@given(rows, sizes)
def test_a_table_row_is_never_split_and_needs_its_header(lines: list[str], size: int):
    text = "\n".join(["Prices are these. Look.", "", "| name | value |", "|---|---|", *lines])
    found = units(text, max_chars=size)
    held(text, found)
    table = [unit for unit in found if unit.kind in {"header", "row"}]
    assert [text[unit.start : unit.end] for unit in table[1:]] == lines
    assert {unit.needs for unit in table[1:]} == {(found.index(table[0]),)}


@settings(max_examples=500, deadline=None)
@given(any_text)
def test_words_and_stems_never_raise(text: str):
    found = words(text)
    assert found == words(text)
    assert all(found)
    assert all(stem(word) for word in found)
