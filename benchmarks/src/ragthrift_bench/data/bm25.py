"""BM25 over the corpus, kept apart from the engines so that the frozen pools never move when an engine does."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

K1, B = 1.5, 0.75
COMMON = 0.12
"""A word in more than this share of the texts says nothing about any of them."""
ASKING = re.compile(r"how|what|which|who|whom|whose|when|where|why|do|does|did|many|much|long")
"""Words that questions hold and documents do not: rare in the corpus, and still no sign of the subject."""
_WORD = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]+|[^\W_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def terms(text: str) -> list[str]:
    """Lower-case words; where the script has no spaces, its characters and the pairs of neighbours."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if _UNSPACED.match(word):
            found += [*word, *(word[at : at + 2] for at in range(len(word) - 1))]
        else:
            found.append(word)
    return found


@dataclass(frozen=True, slots=True)
class Index:
    """Term counts of every text, ready to be asked."""

    counts: tuple[Counter[str], ...]
    lengths: tuple[int, ...]
    weights: dict[str, float]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Index:
        counts = tuple(Counter(terms(text)) for text in texts)
        seen = Counter(term for count in counts for term in count)
        weights = {
            term: math.log(1 + (len(counts) - n + 0.5) / (n + 0.5))
            for term, n in seen.items()
            if not ASKING.fullmatch(term) and n <= max(2, COMMON * len(counts))
        }
        return cls(counts, tuple(count.total() for count in counts), weights)

    def scores(self, query: str) -> list[float]:
        """One score a text, rounded so that the order is the same on every platform."""
        mean = sum(self.lengths) / len(self.lengths)
        asked = sorted(set(terms(query)))
        return [
            round(sum(self._gain(term, count, K1 * (1 - B + B * size / mean)) for term in asked), 6)
            for count, size in zip(self.counts, self.lengths, strict=True)
        ]

    def _gain(self, term: str, count: Counter[str], norm: float) -> float:
        n = count[term]
        return self.weights.get(term, 0.0) * n * (K1 + 1) / (n + norm) if n else 0.0
