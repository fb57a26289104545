from __future__ import annotations

import json

import pytest

from ragthrift.errors import ConfigurationError
from ragthrift.text import Unit, units


def cut(text: str, **settings: object) -> list[tuple[str, str]]:
    return [(unit.kind, text[unit.start : unit.end]) for unit in units(text, **settings)]  # type: ignore[arg-type]


def needs(text: str, **settings: object) -> dict[str, list[str]]:
    """What each unit that needs others needs, as text."""
    found = units(text, **settings)  # type: ignore[arg-type]
    texts = [text[unit.start : unit.end] for unit in found]
    return {texts[i]: [texts[n] for n in unit.needs] for i, unit in enumerate(found) if unit.needs}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith paid $3.5 at 5 p.m. He left.", ["Dr. Smith paid $3.5 at 5 p.m.", "He left."]),
        ("See e.g. Fig. 3 in v2.3.1. It works!", ["See e.g. Fig. 3 in v2.3.1.", "It works!"]),
        ("The U.S. economy grew 3.2%. Prices fell.", ["The U.S. economy grew 3.2%.", "Prices fell."]),
        ("J. R. R. Tolkien wrote it. He was born in 1892.", ["J. R. R. Tolkien wrote it.", "He was born in 1892."]),
        ("Paths such as `../docs` stay. Next.", ["Paths such as `../docs` stay.", "Next."]),
        ("Built in 1990.[3] It burned.", ["Built in 1990.[3]", "It burned."]),
        ("Is it? Yes! It is…", ["Is it?", "Yes!", "It is…"]),
        ("A wrapped\nsentence goes on. Next one.", ["A wrapped\nsentence goes on.", "Next one."]),
        ("One.\r\n\r\nTwo\r\nlines.", ["One.", "Two\r\nlines."]),
        ("👩‍👩‍👧 met 𝔘rs. They ate 🍜. Good.", ["👩‍👩‍👧 met 𝔘rs.", "They ate 🍜.", "Good."]),
        ("今日は雨です。明日は晴れます。", ["今日は雨です。", "明日は晴れます。"]),
        ("هذه جملة. وهذه أخرى؟ نعم.", ["هذه جملة.", "وهذه أخرى؟", "نعم."]),
        ("Agent J.\xa0Smith left.\u2028He was late.", ["Agent J.\xa0Smith left.", "He was late."]),
        ("A lone \ud800 half. Then more.", ["A lone \ud800 half.", "Then more."]),
        ("A nul \x00 byte. Then more.", ["A nul \x00 byte.", "Then more."]),
        ("", []),
        (" \r\n\t\u3000 ", []),
    ],
)
def test_sentences(text: str, expected: list[str]):
    assert cut(text) == [("sentence", sentence) for sentence in expected]


def test_language_decides_abbreviations():
    text = "Er kam am 3. Mai. Es war kalt."
    assert cut(text, language="de") == [("sentence", "Er kam am 3. Mai."), ("sentence", "Es war kalt.")]


def test_headings_of_all_kinds_and_what_lies_under_them():
    text = (
        "# Guide #\n\nFirst.\n\n## Setup\nSecond.\n\nUsage\n-----\nThird.\n\nBig\n===\n\n"
        "Known Limits\n\nFourth.\n\n**Bold title**\n\nFifth."
    )
    found = units(text)
    assert [text[u.start : u.end] for u in found if u.kind == "heading"] == [
        "# Guide #", "## Setup", "Usage\n-----", "Big\n===", "Known Limits", "**Bold title**",
    ]  # fmt: skip
    above = {
        text[u.start : u.end]: text[found[u.heading].start : found[u.heading].end] if u.heading >= 0 else None
        for u in found
    }
    assert above == {
        "# Guide #": None, "First.": "# Guide #", "## Setup": "# Guide #", "Second.": "## Setup",
        "Usage\n-----": "# Guide #", "Third.": "Usage\n-----", "Big\n===": None, "Known Limits": "Big\n===",
        "Fourth.": "Known Limits", "**Bold title**": "Big\n===", "Fifth.": "**Bold title**",
    }  # fmt: skip


def test_a_short_line_above_prose_is_a_heading_only_when_it_was_broken_on_purpose():
    assert cut("Geography\nThe town lies on the river Foo, north of Bar.")[0] == ("heading", "Geography")
    assert cut("The town lies on the\nRiver Foo.") == [("sentence", "The town lies on the\nRiver Foo.")]
    assert cut("the end of a chunk\n\nNew text.")[0] == ("sentence", "the end of a chunk")
    assert cut("Only line") == [("sentence", "Only line")]


def test_list_items_keep_their_lines_and_need_the_line_that_introduces_them():
    text = "Formats:\n- PDF files,\n  scanned too\n* Word\n+ Text\n\nNo list here.\n1. Open\n2) Close\na) Stop\n• Go"
    assert cut(text) == [
        ("sentence", "Formats:"),
        ("item", "- PDF files,\n  scanned too"),
        ("item", "* Word"),
        ("item", "+ Text"),
        ("sentence", "No list here."),
        ("item", "1. Open"),
        ("item", "2) Close"),
        ("item", "a) Stop"),
        ("item", "• Go"),
    ]
    assert needs(text) == {
        "- PDF files,\n  scanned too": ["Formats:"],
        "* Word": ["Formats:"],
        "+ Text": ["Formats:"],
    }


def test_an_item_inside_an_item_needs_it():
    text = "Sizes:\n\n- Fruit\n  - Apple\n    - Red\n  - Pear\n- Meat"
    assert needs(text) == {
        "- Fruit": ["Sizes:"],
        "- Apple": ["Sizes:", "- Fruit"],
        "- Red": ["Sizes:", "- Fruit", "- Apple"],
        "- Pear": ["Sizes:", "- Fruit"],
        "- Meat": ["Sizes:"],
    }


def test_a_year_or_an_initial_at_the_start_of_a_line_begins_no_list():
    assert cut("It was in\n1990. He and\nJ. Smith left.") == [
        ("sentence", "It was in\n1990."),
        ("sentence", "He and\nJ. Smith left."),
    ]


def test_a_long_item_is_cut_into_sentences():
    sentence = "This sentence stands in a list and takes up some room. "
    assert cut("- " + sentence * 9) == [("item", "- " + sentence.strip()), *[("item", sentence.strip())] * 8]


def test_pipe_table_rows_need_the_header():
    text = "Prices.\n\n| Name | EUR |\n|:-----|----:|\n| Tea | 3 |\n| Rum | 9 |\nAfter."
    assert cut(text)[1:] == [
        ("header", "| Name | EUR |\n|:-----|----:|"),
        ("row", "| Tea | 3 |"),
        ("row", "| Rum | 9 |"),
        ("sentence", "After."),
    ]
    assert [unit.needs for unit in units(text)] == [(), (), (1,), (1,), ()]


def test_the_middle_of_a_table_has_no_header():
    assert [(u.kind, u.needs) for u in units("| Tea | 3 |\n| Rum | 9 |")] == [("row", ()), ("row", ())]
    assert [(u.kind, u.needs) for u in units("| Name | EUR |\n| Rum | 9 |")] == [("header", ()), ("row", (0,))]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "lines",
    [
        ["name\tage", "Ann\t3", "Bob\t4"],
        ["id,name,age", '1,"Smith, Ann",3', "2,Bob,4"],
        ["id;name;2024", "1;Ann;3,5", "2;Bob;4,5"],
    ],
)
def test_lines_of_separated_values_are_a_table(lines: list[str], line_break: str):
    found = cut(line_break.join(lines))
    assert found == [("header", lines[0]), ("row", lines[1]), ("row", lines[2])]


def test_prose_with_commas_is_no_table():
    text = "Ann, Bob, and\nCid, Dan, and\nEve, Flo, and\nGus went home."
    assert cut(text) == [("sentence", text)]


@pytest.mark.parametrize(
    "block",
    [
        "```python\nif a:\n\n    # Not a heading\n    b = [1, 2]\n```",
        "~~~\n- no item\n```\nstill inside\n~~~",
        "````\n```\nnested\n```\n````",
        "> ```\n> quoted. Twice.\n> ```",
    ],
)
def test_a_fence_is_one_unit_however_long(block: str):
    assert cut(f"Before. This.\n{block}\nAfter.", max_chars=15) == [
        ("sentence", "Before. This."[:7]),
        ("sentence", "This."),
        ("code", block),
        ("sentence", "After."),
    ]


def test_an_unclosed_fence_reaches_to_the_end():
    assert cut("Run:\n\n```sh\nls -l\n\nmore. And more.") == [
        ("sentence", "Run:"),
        ("code", "```sh\nls -l\n\nmore. And more."),
    ]


def test_a_chunk_that_begins_inside_a_fence():
    assert cut("    a = f(1)\nb = [2]\n```\n\nThis is prose. It goes on.") == [
        ("code", "a = f(1)\nb = [2]\n```"),
        ("sentence", "This is prose."),
        ("sentence", "It goes on."),
    ]
    assert cut("b = [2]\n```\nProse here.\n```python\nc = 3\n```") == [
        ("code", "b = [2]\n```"),
        ("sentence", "Prose here."),
        ("code", "```python\nc = 3\n```"),
    ]
    assert cut("Prose. Run this:\n```\n\nc = 3")[-1] == ("code", "```\n\nc = 3")


def test_indented_code_is_one_unit_and_indented_prose_is_not():
    text = "Call it:\n\n    f(x)\n\n    g(y)\n\nDone."
    assert cut(text) == [("sentence", "Call it:"), ("code", "f(x)\n\n    g(y)"), ("sentence", "Done.")]
    assert cut("    It was a dark night. The rain\nfell in torrents.") == [
        ("sentence", "It was a dark night."),
        ("sentence", "The rain\nfell in torrents."),
    ]


def test_a_small_json_text_is_one_unit():
    assert cut('{"a": [1, 2],\n "b": "x. Y."}') == [("json", '{"a": [1, 2],\n "b": "x. Y."}')]
    assert cut('Reply:\n{"a": 1}\n{"a": 2}\n\nDone.') == [
        ("sentence", "Reply:"),
        ("json", '{"a": 1}'),
        ("json", '{"a": 2}'),
        ("sentence", "Done."),
    ]


def test_a_large_json_text_falls_into_members_that_need_the_keys_above():
    text = '{"name": "x", "rows": [{"id": 1, "v": "a]b"}, {"id": 2, "v": []}], "n": 2.5e3}'
    assert cut(text, max_chars=24) == [
        ("json", "{"),
        ("json", '"name": "x",'),
        ("json", '"rows": ['),
        ("json", '{"id": 1, "v": "a]b"},'),
        ("json", '{"id": 2, "v": []}'),
        ("json", "],"),
        ("json", '"n": 2.5e3'),
        ("json", "}"),
    ]
    assert needs(text, max_chars=24) == {
        '{"id": 1, "v": "a]b"},': ['"rows": ['],
        '{"id": 2, "v": []}': ['"rows": ['],
    }


def test_each_element_of_a_large_array_parses():
    rows = [{"id": i, "text": 'one, [two] \\ "three" é', "deep": {"x": [i, None]}} for i in range(200)]
    parts = [part for _, part in cut(json.dumps(rows, indent=1)) if part not in "[]"]
    assert [json.loads(part.rstrip(",")) for part in parts] == rows


def test_a_long_string_in_json_stays_whole():
    text = json.dumps({"a": "word. " * 500, "b": 1})
    assert [len(part) for _, part in cut(text)] == [1, 3008, 6, 1]


def test_broken_json_falls_into_lines():
    assert cut('"a": 1,\n"b": {\n"c": "x. Y."\n},') == [
        ("item", '"a": 1,'),
        ("item", '"b": {'),
        ("item", '"c": "x. Y."'),
        ("item", "},"),
    ]
    assert cut('{"a": 1, "b": oops}') == [("sentence", '{"a": 1, "b": oops}')]
    assert "".join(part for _, part in cut("[" * 5000)) == "[" * 5000


def test_fields_and_log_lines_are_one_unit_each():
    assert cut("Name: Ann Lee\nBorn: 1990\nLives in: Oslo") == [
        ("item", "Name: Ann Lee"),
        ("item", "Born: 1990"),
        ("item", "Lives in: Oslo"),
    ]
    log = "2024-05-01 10:00:01 start. ok\n2024-05-01 10:00:02 stop"
    assert [kind for kind, _ in cut(log)] == ["item", "item"]


def test_an_endless_sentence_is_cut_at_whitespace():
    assert cut("aa bb cc dd ee", max_chars=6) == [("sentence", "aa bb"), ("sentence", "cc dd"), ("sentence", "ee")]
    parts = [part for _, part in cut("word " * 100_000)]
    assert max(map(len, parts)) <= 1200
    assert {len(part) % 5 for part in parts} == {4}


def test_an_endless_word_is_cut_between_graphemes():
    assert cut("abcdef", max_chars=4) == [("sentence", "abcd"), ("sentence", "ef")]
    family, flag, accent, halves = "👩‍👩‍👧", "🇩🇪", "e\u0301\u0323", "\ud83d\ude00"
    for grapheme in (family, flag, accent, halves, "각"):
        for size in range(1, 12):
            for _, part in cut(grapheme * 20, max_chars=size):
                assert part == grapheme * (len(part) // len(grapheme))


def test_paragraphs_are_numbered():
    text = "One. Two.\n\n- a\n- b\n\nThree.\n\n|x|y|\n|-|-|\n|1|2|"
    assert [unit.paragraph for unit in units(text)] == [0, 0, 1, 1, 2, 3, 3]


def test_a_thematic_break_is_a_unit_of_its_own():
    assert cut("One.\n\n* * *\n\nTwo.") == [("sentence", "One."), ("sentence", "* * *"), ("sentence", "Two.")]


def test_a_unit_is_a_plain_value():
    assert units("Hi.") == [Unit(start=0, end=3, kind="sentence", needs=(), heading=-1, paragraph=0)]


def test_max_chars_must_be_positive():
    with pytest.raises(ConfigurationError, match="max_chars must be at least 1, got 0"):
        units("Hi.", max_chars=0)
