"""Answer matching as SQuAD does it, and whether a text still holds a piece of evidence."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Thai, Lao, Burmese, Khmer; kana, ideographs and their extensions.
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
_REFUSALS = (
    "unanswerable",
    "not answerable",
    "cannot be answered",
    "not in the context",
    "not mentioned",
    "not provided",
    "not specified",
    "does not provide",
    "does not mention",
    "does not contain",
    "no information",
)


@lru_cache(maxsize=1 << 16)
def normal(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces: SQuAD's normalisation."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def found(needle: str, text: str) -> bool:
    """Whether the normalised words of `needle` stand in `text`, whole and in a row.

    In scripts that write no spaces every character begins and ends a word.
    """
    words, place = normal(needle), normal(text)
    at = place.find(words) if words else -1
    while at >= 0:
        end = at + len(words)
        before, after = place[at - 1 : at], place[end : end + 1]
        if not _one_word(before, words[0]) and not _one_word(words[-1], after):
            return True
        at = place.find(words, at + 1)
    return False


def _one_word(left: str, right: str) -> bool:
    return left.isalnum() and right.isalnum() and not (_SPACELESS.match(left) or _SPACELESS.match(right))


def checkable(answers: Sequence[str]) -> bool:
    """Whether a string can be looked for: a yes or no in a context proves nothing."""
    return any(normal(answer) not in ("", "yes", "no") for answer in answers)


def answered(text: str, answers: Sequence[str]) -> bool:
    """Whether any of the answers stands in `text`."""
    return any(found(answer, text) for answer in answers)


def exact(reply: str, answers: Sequence[str]) -> float:
    """1.0 when the reply is one of the answers after normalisation."""
    return float(any(normal(reply) == normal(answer) for answer in answers))


def f1(reply: str, answers: Sequence[str]) -> float:
    """The best word overlap of the reply with any answer; a yes or no must be met exactly, as HotpotQA asks."""
    return max((_overlap(normal(reply), normal(answer)) for answer in answers), default=0.0)


def _overlap(reply: str, answer: str) -> float:
    if (reply in ("yes", "no", "noanswer") or answer in ("yes", "no", "noanswer")) and reply != answer:
        return 0.0
    got, want = reply.split(), answer.split()
    same = sum((Counter(got) & Counter(want)).values())
    return 2 * same / (len(got) + len(want)) if same else 0.0


def refused(reply: str) -> bool:
    """Whether the reply says that the context does not answer the question."""
    low = reply.lower()
    return not low.strip() or any(words in low for words in _REFUSALS)


def sentences(text: str) -> list[str]:
    """The sentences of `text`, verbatim, outer space cut."""
    return [text[start:end] for start, end in sentence_ranges(text)]


def sentence_ranges(text: str) -> list[tuple[int, int]]:
    """The `[start, end)` of every sentence of `text`, line breaks ending a sentence."""
    sentencex: Any = import_module("sentencex")
    ranges: list[tuple[int, int]] = []
    at = 0
    for line in text.splitlines(keepends=True):
        for part in cast("list[str]", list(sentencex.segment("en", line))):
            start = text.find(part, at)
            if start < 0:  # a splitter that rewrites would be worse than one that keeps the line whole
                start, part = at, line
            at = start + len(part)
            inner = part.strip()
            if inner:
                begin = start + part.index(inner)
                ranges.append((begin, begin + len(inner)))
    return ranges
