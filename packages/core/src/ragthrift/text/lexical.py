"""The words of a text as lexical scoring compares them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

# Scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uaa60-\uaa7f\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U000323af"
)
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:[-._][a-z0-9]+)*")
_JOINER = re.compile("[-._]")
_APOSTROPHE = re.compile(r"'[^\W\d_]\b")
_WORD = re.compile(r"[^\W_]+(?:[-._][^\W_]+)*")
_REMOTE = re.compile(
    "[\u0300-\u036f\u0483-\u1dff\u20d0-\u20ff\u3005-\uabff\uf900-\ufaff\ufb1e\ufe20-\ufe2f"
    "\U00011000-\U0001efff\U00020000-\U000323af]"
)
"""Where marks and scripts without spaces are; Latin, Greek, most Cyrillic, Hangul, punctuation and emoji are not."""

_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]+")
_DASH = re.compile("[\u2010\u2011]")


def words(text: str) -> list[str]:
    """The words of `text` in order, case folded.

    A word is a run of letters, digits and the marks on them. Runs joined by `-`, `.` or `_` give the whole first and
    then its parts, so that `ERR-4012` can be found by `err-4012`, `err` and `4012`. An apostrophe parts words, and a
    single letter behind it is left out (`company's` gives `company`). Scripts without spaces give pairs of adjacent
    characters, a lone character itself.
    """
    if text.isascii():
        return _split(_ASCII_WORD.findall(_bare(text.lower())))
    text = unicodedata.normalize("NFKC", text.casefold())
    text = _DASH.sub("-", _INVISIBLE.sub("", text)).replace("\u2019", "'")
    text = _bare(text)
    if _REMOTE.search(text):
        return _irregular_words(text)
    return _split(_WORD.findall(text))


def _bare(text: str) -> str:
    """`text` without the single letters behind an apostrophe."""
    return _APOSTROPHE.sub(" ", text) if "'" in text else text


def _split(tokens: list[str]) -> list[str]:
    """`tokens`, each joined one followed by its parts."""
    if all(map(str.isalnum, tokens)):
        return tokens
    out: list[str] = []
    for token in tokens:
        out.append(token)
        if not token.isalnum():
            out.extend(_JOINER.split(token))
    return out


@lru_cache(maxsize=1)
def _marks() -> str:
    """The combining marks of scripts with spaces, as the inside of a character class: no class of `re` holds them.

    Without those beyond the basic plane, which belong to historic scripts: `re` is slow with many of them.
    """
    unspaced = re.compile(f"[{_UNSPACED}]")
    marks = (c for c in map(chr, range(0x300, 0xAC00)) if unicodedata.category(c) in {"Mn", "Mc"})
    return "".join(c for c in marks if not unspaced.match(c))


@lru_cache(maxsize=1)
def _irregular() -> re.Pattern[str]:
    """Finds runs of a script without spaces, and words with marks."""
    letters = rf"(?:[^\W_{_UNSPACED}]++|[{_marks()}]++)++"
    return re.compile(rf"({letters}(?:[-._]{letters})*+)|([{_UNSPACED}]++)")


def _irregular_words(text: str) -> list[str]:
    """The words of a text that holds combining marks or a script without spaces."""
    out: list[str] = []
    for word, run in _irregular().findall(text):
        if word:
            parts = _JOINER.split(word)
            out.extend([word, *parts] if len(parts) > 1 else parts)
        else:
            out.extend(map("".join, pairwise(run)) if len(run) > 1 else run)
    return out


_VOWEL = re.compile("[aeiouy]")


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """`word` without an English plural, past or progressive ending; other words come back as they are.

    It compares words, it does not spell them: both forms of a word give the same stem (`stopped`, `stop`; `cities`,
    `city`), which need not be a word (`houses`, `house` give `hous`). Only lower-case ASCII letters are folded, and
    nothing shorter than five of them.
    """
    for ending in ("'s", "\u2019s"):
        word = word.removesuffix(ending)
    if len(word) < 5 or not (word.isascii() and word.isalpha()):
        return word
    word = _base(_singular(word))
    if len(word) < 5 or not word.endswith("e"):
        return word
    return word[:-2] + "y" if word.endswith("ie") else word[:-1]


def _singular(word: str) -> str:
    if not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses")):
        return word[:-2]
    return word[:-1]


def _base(word: str) -> str:
    if word.endswith("ied") and len(word) >= 5:
        return word[:-3] + "y"
    ending = 3 if word.endswith("ing") else 2 if word.endswith("ed") else 0
    base = word[:-ending] if ending else word
    if len(word) < 5 or base == word or len(base) < 3 or not _VOWEL.search(base) or word.endswith("eed"):
        return word
    if base[-1] == base[-2] and base[-1] not in "lsz":
        return base[:-1]
    short = len(base) == 3 and base[0] not in "aeiou" and base[1] in "aeiou" and base[2] not in "aeiouwxy"
    return base + "e" if short else base
