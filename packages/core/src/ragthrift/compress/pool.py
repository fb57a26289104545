"""The pool: every unit of every retrieved passage with its words, and how rare each word is among them.

Statistics are of the pool itself, so nothing needs a corpus or a model: a word that every passage holds says nothing,
whatever its language. What frequency in a pool cannot tell is that "which" is no topic, since a retriever fills the
pool with the topic and not with "which"; there a table of function words helps.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from ragthrift.duplicates import stems
from ragthrift.text import Unit, units
from ragthrift.text.function_words import FUNCTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ragthrift.types import Passage

OVERLAP_PROBE = 24
"""Characters that two chunks must share at their ends before they count as cut from one text."""
OVERLAP_PASSAGES = 200
"""Above this many passages the search for overlapping chunks, which is quadratic, is left out."""
FUNCTION_WEIGHT = 0.25
"""What a function word counts beside a content word; tuning rows are served about equally by 0.15 to 0.4."""

_QUALIFIER = re.compile(r"\s*\([^()]*\)\s*$")  # "Kiss and Tell (1945 film)": prose names it without the bracket


@dataclass(frozen=True, slots=True)
class Candidate:
    """One unit that may be kept: where it stands, and its stemmed words in order and as a set.

    `place` counts units from the start of the passage's source, so that the second chunk of a document does not
    look like the beginning of one. `context` are the words it is read with: the passage's title, the headings above,
    the header of its table; a row "4, 97.00" is about nothing without them.
    """

    passage: int
    place: int
    unit: Unit
    words: tuple[str, ...]
    bag: frozenset[str]
    context: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """A query and all candidates, with the words of each passage and how rare the words are on both levels.

    `of[p]` lists the candidates of passage p in order; `held[w]` counts the passages that hold word w, title included;
    `source[p]` is the same number for passages that were cut from one document.
    """

    query: tuple[str, ...]
    asked: frozenset[str]
    candidates: tuple[Candidate, ...]
    of: tuple[tuple[int, ...], ...]
    titles: tuple[tuple[str, ...], ...]
    vocabulary: tuple[frozenset[str], ...]
    held: Mapping[str, int]
    source: tuple[int, ...]
    rarity: tuple[float, ...]
    unit_idf: Mapping[str, float]

    def idf(self, word: str) -> float:
        """How rare the word is among passages; 0 for one that none holds, since it tells none apart."""
        return self.rarity[self.held.get(word, 0)] * _meaning(word)

    def links(self, word: str) -> bool:
        """Whether some but few enough passages hold the word for it to link two of them."""
        return 2 <= self.held.get(word, 0) <= max(2, 0.3 * len(self.of)) and word not in FUNCTION_WORDS

    def holders(self, word: str) -> list[int]:
        """The passages that hold the word."""
        return [passage for passage, bag in enumerate(self.vocabulary) if word in bag]


def pool(query: str, passages: Sequence[Passage], *, language: str = "en") -> Pool:
    """The candidates of `passages` and the statistics of the pool they form."""
    source, offset = _sources(passages)
    titles = tuple(stems(_QUALIFIER.sub("", passage.title)) for passage in passages)
    candidates: list[Candidate] = []
    of: list[tuple[int, ...]] = []
    counts = [0] * len(passages)
    for index, passage in enumerate(passages):
        first = len(candidates)
        before = counts[offset[index]] if offset[index] >= 0 else 0
        for number, unit in enumerate(units(passage.text, language=language)):
            said = stems(passage.text[unit.start : unit.end])
            context = titles[index]
            for above in (*unit.needs, *((unit.heading,) if unit.heading >= 0 else ())):
                context += candidates[first + above].words
            candidates.append(Candidate(index, before + number, unit, said, frozenset(said), context))
        counts[index] = before + len(candidates) - first
        of.append(tuple(range(first, len(candidates))))
    vocabulary = tuple(
        frozenset(title).union(*(candidates[c].bag for c in own)) for title, own in zip(titles, of, strict=True)
    )
    asked = stems(query)
    return Pool(
        query=asked,
        asked=frozenset(asked),
        candidates=tuple(candidates),
        of=tuple(of),
        titles=titles,
        vocabulary=vocabulary,
        held=Counter(chain.from_iterable(vocabulary)),
        source=source,
        rarity=(0.0, *(_idf(len(passages), holding) for holding in range(1, len(passages) + 1))),
        unit_idf=_unit_idf(asked, candidates),
    )


def _idf(total: int, holding: int) -> float:
    """Robertson and Sparck Jones' weight as BM25 uses it, kept above zero by the added one (Lucene's form)."""
    return math.log(1 + (total - holding + 0.5) / (holding + 0.5))


def _unit_idf(asked: Iterable[str], candidates: Sequence[Candidate]) -> dict[str, float]:
    """Rarity of the query's words among units, each with the context that it is read with."""
    wanted = frozenset(asked)
    held = Counter[str]()
    for candidate in candidates:
        held.update((wanted & candidate.bag) | wanted.intersection(candidate.context))
    return {word: _idf(len(candidates), held[word]) * _meaning(word) for word in wanted if word in held}


def _meaning(word: str) -> float:
    return FUNCTION_WEIGHT if word in FUNCTION_WORDS else 1.0


def _sources(passages: Sequence[Passage]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For each passage the number of its source, and the passage that comes just before it in that source (-1: none).

    Passages of one named source belong together; so do chunks whose ends overlap, which is how a text splitter
    leaves its mark when it names no source.
    """
    group = list(range(len(passages)))
    before = [-1] * len(passages)
    named: dict[str, int] = {}
    for index, passage in enumerate(passages):
        if passage.source:
            group[index] = named.setdefault(passage.source, index)
    if len(passages) <= OVERLAP_PASSAGES:
        for index, passage in enumerate(passages):
            head = passage.text[:OVERLAP_PROBE]
            if len(head) < OVERLAP_PROBE or not head.strip():
                continue
            for other, candidate in enumerate(passages):
                if other != index and _continues(candidate.text, passage.text, head):
                    before[index] = other
                    group[index] = group[other]
                    break
    return tuple(_root(group, index) for index in range(len(group))), tuple(
        other if other < index else -1 for index, other in enumerate(before)
    )


def _continues(text: str, following: str, head: str) -> bool:
    """Whether the end of `text` is the beginning of `following`."""
    at = text.find(head, max(1, len(text) - len(following)))
    return at > 0 and following.startswith(text[at:])


def _root(group: Sequence[int], index: int) -> int:
    for _ in group:
        if group[index] == index:
            break
        index = group[index]
    return index
