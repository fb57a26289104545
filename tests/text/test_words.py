from __future__ import annotations

import pytest

from ragthrift.text import stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n\t ... --- ", []),
        ("The Quick BROWN fox", ["the", "quick", "brown", "fox"]),
        ("error ERR-4012!", ["error", "err-4012", "err", "4012"]),
        ("v2.3.1, 3.5 and 10.", ["v2.3.1", "v2", "3", "1", "3.5", "3", "5", "and", "10"]),
        ("snake_case __init__", ["snake_case", "snake", "case", "init"]),
        ("src/main.py", ["src", "main.py", "main", "py"]),
        ("the company's, don't, O'Neil", ["the", "company", "don", "o", "neil"]),
        ("the company’s café", ["the", "company", "café"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("state‑of‑the‑art", ["state-of-the-art", "state", "of", "the", "art"]),
        ("cafe\u0301 caf\u00e9", ["café", "café"]),
        ("soft\u00adware zero\u200bwidth", ["software", "zerowidth"]),
        ("ＥＲＲ－４０１２", ["err-4012", "err", "4012"]),
        ("Привет, мир", ["привет", "мир"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("서울 타워", ["서울", "타워"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("iPhone手机 人", ["iphone", "手机", "人"]),
        ("สวัสดี", ["สว", "วั", "ัส", "สด", "ดี"]),
        ("ok 😀👩‍👩‍👧 fine", ["ok", "fine"]),
        ("lone \ud800 half", ["lone", "half"]),
        ("nul\x00byte", ["nul", "byte"]),
    ],
)
def test_words(text: str, expected: list[str]):
    assert words(text) == expected


def test_a_character_outside_ascii_elsewhere_changes_no_word():
    text = "ERR-4012 in snake_case, the company's v2.3.1 (3.5 %)"
    assert words(text + " …") == words(text)
    assert words(text + " 東") == [*words(text), "東"]


@pytest.mark.parametrize(
    "family",
    [
        ("house", "houses"),
        ("city", "cities"),
        ("movie", "movies"),
        ("class", "classes"),
        ("stops", "stopped", "stopping"),
        ("plans", "planned", "planning"),
        ("bakes", "baked", "baking"),
        ("close", "closes", "closed", "closing"),
        ("carry", "carries", "carried", "carrying"),
        ("builds", "building", "buildings"),
        ("caches", "cache", "cached", "caching"),
        ("company", "company's", "company’s", "companies"),
        ("fails", "failed", "failing"),
    ],
)
def test_forms_of_a_word_share_a_stem(family: tuple[str, ...]):
    assert len({stem(word) for word in family}) == 1


@pytest.mark.parametrize(
    "word",
    ["", "a", "bus", "bring", "string", "speed", "status", "analysis", "4012s", "err-4012s", "größes", "ing", "es"],
)
def test_other_words_stay(word: str):
    assert stem(word) == word
