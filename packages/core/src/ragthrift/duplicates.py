"""When two texts state one fact: the same words and signs in the same order, about the same thing.

Sentences that merely look alike ("12 %" and "21 %", "may" and "may not", "A sued B" and "B sued A") are different
facts, and so are equal rows of two tables and equal sentences under two titles. What may differ is case, most
punctuation, spacing and word endings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from ragthrift.text import stem, words

T = TypeVar("T")

# fmt: off
NEGATIONS = frozenset({
    "no", "not", "never", "none", "nor", "neither", "without", "cannot", "except", "unless", "nicht", "kein",
    "keine", "keinen", "keiner", "nie", "niemals", "ohne", "weder", "außer", "non", "ne", "pas", "jamais", "sans",
    "ni", "aucun", "aucune", "sauf", "nunca", "jamás", "sin", "ningún", "ninguna", "ninguno", "nem", "não", "sem",
    "nenhum", "nenhuma", "mai", "senza", "né", "nessun", "nessuna", "nessuno", "niet", "geen", "nooit", "zonder",
    "не", "нет", "никогда", "без", "нельзя",
})
# fmt: on

About = tuple[str, ...]
"""What a fact is about, such as a title and a heading; an empty string where that is not known."""

# A sign that can change a fact where the words are the same: negation in a contraction, a minus, operators,
# currencies, per cent, question marks, superscripts and fractions, arrows, ticks and emoji.
_SIGN = re.compile(
    r"(n['\u2019]t\b|(?<!\w)[-\u2212\u2013](?=[\d.])|!(?=[\w=(])|(?<=\w)[#/^](?=\w)|(?<=\w)#+"
    r"|[%\u2030$&?@+<>=\u00a2-\u00a5\u00ac\u00b0-\u00b3\u00b9\u00bc-\u00be\u00d7\u00f7\u2070-\u20cf"
    r"\u2150-\u218b\u2190-\u23ff\u2460-\u24ff\u2600-\u27bf\U0001f000-\U0001faff])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A text with its stemmed words and what it is about."""

    text: str
    words: tuple[str, ...]
    about: About


def stems(text: str) -> tuple[str, ...]:
    """The stemmed words of a text."""
    return tuple(map(stem, words(text)))


def fact(text: str) -> tuple[str, ...]:
    """What matters of a text, words and signs in order: texts with equal results state one fact."""
    out: list[str] = []
    for number, part in enumerate(_SIGN.split(text)):
        if number % 2:
            out.append("not" if part[-1] in "tT" else part)
        else:
            out += stems(part)
    return tuple(out) or (text,)


class Facts(Generic[T]):
    """The facts stated so far, each with a note of the caller's."""

    def __init__(self) -> None:
        self._stated: dict[tuple[str, ...], list[tuple[Statement, T]]] = {}
        self._facts: dict[tuple[str, ...], list[tuple[About, T]]] = {}

    def find(self, said: Statement) -> tuple[T, ...]:
        """The notes of the equal facts that are not about something else.

        Few texts share all their words, so signs are looked at in those only, and once in each.
        """
        if said.words not in self._stated:
            return ()
        waiting = self._stated[said.words]
        while waiting:
            other, note = waiting.pop(0)
            self._facts.setdefault(fact(other.text), []).append((other.about, note))
        return tuple(note for about, note in self._facts.get(fact(said.text), ()) if _agree(said.about, about))

    def add(self, said: Statement, note: T) -> None:
        """Write down a fact."""
        self._stated.setdefault(said.words, []).append((said, note))


def _agree(one: About, other: About) -> bool:
    """Whether no part is known of both and different."""
    return all(a == b or not a or not b for a, b in zip(one, other, strict=True))
