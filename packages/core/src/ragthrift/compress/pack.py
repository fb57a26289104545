"""Passages put into their final order, and passages kept in the retriever's order when nothing better is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ragthrift.text import units
from ragthrift.tokens import render
from ragthrift.types import Passage, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ragthrift.tokens import TokenCounter

Order = Literal["source", "edges", "score"]
LONGEST_TOKEN = 16
"""Characters per token above which a cut does not look for more text: prose has about four."""


def ordered(passages: Sequence[Passage], score: Callable[[Passage], float], order: Order) -> tuple[Passage, ...]:
    """The passages in the order of their sources, best first, or with the best at both ends.

    Readers attend most to the beginning and the end of a context (Liu et al. 2023, "Lost in the Middle"); but an order
    that changes with each question takes the prompt's prefix from the provider's cache.
    """
    if order == "source":
        return tuple(passages)
    best = sorted(passages, key=lambda passage: -score(passage))
    return tuple(best) if order == "score" else (*best[::2], *best[1::2][::-1])


def first_that_fit(
    passages: Sequence[Passage], tokens: int, *, counter: TokenCounter, joiner: str
) -> tuple[Passage, ...]:
    """The passages from the first one on until `tokens` are full, in the order of their sources.

    The last one is cut behind its last whole unit that fits, or behind a word when none does.
    """

    def fits(some: Sequence[Passage]) -> bool:
        return counter.count(render(_in_place(some), joiner)) <= tokens

    low, high = 0, len(passages)
    if fits(passages):
        return _in_place(passages)
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(passages[:middle]) else (low, middle)
    piece = _cut(passages[low], lambda cut: fits([*passages[:low], cut]), tokens)
    return _in_place([*passages[:low], piece] if piece else passages[:low])


def _in_place(passages: Sequence[Passage]) -> tuple[Passage, ...]:
    return tuple(sorted(passages, key=lambda passage: passage.index))


def _cut(passage: Passage, fits: Callable[[Passage], bool], tokens: int) -> Passage | None:
    """The longest beginning of the passage that ends well and fits, None when not even one word does."""
    start = len(passage.text) - len(passage.text.lstrip())
    low, high = start, min(len(passage.text), start + max(1, tokens) * LONGEST_TOKEN)
    if not fits(replace(passage, text="")):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if fits(_beginning(passage, start, middle)):
            low = middle
        else:
            high = middle - 1
    whole = _unit_end(passage.text, low)
    end = whole if whole > start else _word_end(passage.text, start, low)
    while end > start and not fits(_beginning(passage, start, end)):  # a shorter text can cost more tokens at its end
        end = _word_end(passage.text, start, end - 1)
    return _beginning(passage, start, end) if end > start else None


def _unit_end(text: str, end: int) -> int:
    """Where the last whole unit before `end` ends that says something by itself, 0 when there is none."""
    within = (u.end for u in units(text) if u.end <= end and u.kind not in ("heading", "header"))
    return max(within, default=0)


def _beginning(passage: Passage, start: int, end: int) -> Passage:
    return replace(passage, text=passage.text[start:end], spans=(Span(start, end),))


def _word_end(text: str, start: int, end: int) -> int:
    """The last place at or before `end` where a word ends, `end` itself in a text without spaces."""
    if end >= len(text) or text[end].isspace():
        return start + len(text[start:end].rstrip())
    head = text[start:end]
    at = max(head.rfind(" "), head.rfind("\n"), head.rfind("\t"))
    return start + len(head[:at].rstrip()) if at > 0 else end
