"""When two texts state one fact: the same words that matter, in the same order.

Sentences that merely look alike ("12 %" and "21 %", "may" and "may not", "A sued B" and "B sued A") are different
facts, so similarity alone never makes a duplicate. What may differ is case, punctuation, spacing, word endings, and
words so common among the passages that they tell nothing apart, unless such a word holds a digit or negates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

# fmt: off
NEGATIONS = frozenset({
    "no", "not", "never", "none", "nor", "neither", "without", "cannot", "except", "unless", "nicht", "kein",
    "keine", "keinen", "keiner", "nie", "niemals", "ohne", "weder", "außer", "non", "ne", "pas", "jamais", "sans",
    "ni", "aucun", "aucune", "sauf", "nunca", "jamás", "sin", "ningún", "ninguna", "ninguno", "nem", "não", "sem",
    "nenhum", "nenhuma", "mai", "senza", "né", "nessun", "nessuna", "nessuno", "niet", "geen", "nooit", "zonder",
    "не", "нет", "никогда", "без", "нельзя",
})
# fmt: on


_CONTRACTED = re.compile("n['\u2019]t\\b", re.IGNORECASE)  # "isn't": a tokeniser may drop the "t"


def common_words(held: Mapping[str, int], passages: int) -> frozenset[str]:
    """The words that more than half of the passages hold and that neither negate nor hold a digit.

    `held` counts the passages that hold each word. Such words tell nothing apart.
    """
    most = max(2, passages // 2)
    return frozenset(word for word, count in held.items() if count > most and not _decisive(word))


def fact(text: str, words: Iterable[str], common: Set[str]) -> tuple[str, ...]:
    """What matters of a text with these words, in order: texts with equal results state one fact.

    A text of nothing but common words keeps them all.
    """
    every = tuple(words)
    matter = tuple([word for word in every if word not in common]) or every
    return (*matter, *("not" for _ in _CONTRACTED.findall(text))) if "'" in text or "\u2019" in text else matter


def _decisive(word: str) -> bool:
    return word in NEGATIONS or any(letter.isdigit() for letter in word)
