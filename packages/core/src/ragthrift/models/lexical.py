"""Scores texts by the words they share with the query: BM25 over nothing but the given texts, no model, no language."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ragthrift.errors import ConfigurationError

# Scripts that write no spaces between words: Thai to Khmer, kana, CJK ideographs, half-width kana.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
_TOKEN = re.compile(rf"[{_UNSPACED}\U00020000-\U0003ffff]+|[^\W_{_UNSPACED}\U00020000-\U0003ffff]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}\U00020000-\U0003ffff]")


def words(text: str) -> list[str]:
    """The index terms of `text`: case-folded words and numbers, and overlapping bigrams in scripts without spaces."""
    found: list[str] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if len(token) > 2 and _IS_UNSPACED.match(token):
            found += [token[at : at + 2] for at in range(len(token) - 1)]
        else:
            found.append(token)
    return found


@dataclass(frozen=True, slots=True)
class Lexical:
    """A scorer that needs no model: Okapi BM25 with document frequencies taken from the texts of the call.

    Scores are 0 for a text that shares no word with the query, and comparable only within one call.
    """

    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        if not self.k1 >= 0:
            raise ConfigurationError(f"k1 must be 0 or more, got {self.k1!r}")
        if not 0 <= self.b <= 1:
            raise ConfigurationError(f"b must be between 0 and 1, got {self.b!r}")

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The BM25 score of each text."""
        wanted = set(words(query))
        counts: list[Counter[str]] = []
        lengths: list[int] = []
        for text in texts:
            terms = words(text)
            lengths.append(len(terms))
            counts.append(Counter(term for term in terms if term in wanted))
        mean = sum(lengths) / len(lengths) if any(lengths) else 1.0
        weights = {term: _idf(sum(term in c for c in counts), len(counts)) for term in sorted(wanted)}
        return [self._score(count, length / mean, weights) for count, length in zip(counts, lengths, strict=True)]

    def _score(self, count: Counter[str], length: float, weights: dict[str, float]) -> float:
        norm = self.k1 * (1 - self.b + self.b * length)
        gains = (w * count[t] * (self.k1 + 1) / (count[t] + norm) for t, w in weights.items() if count[t])
        return sum(gains, 0.0)


def _idf(frequency: int, texts: int) -> float:
    return math.log(1 + (texts - frequency + 0.5) / (frequency + 0.5))
