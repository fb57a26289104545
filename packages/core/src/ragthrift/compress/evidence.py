"""How likely each unit is needed: a first look by words, then the bridge pass through what the first look found.

A question such as "who directed the film that starred X" never names its second document. The first look finds the
passage about X; the bridge pass then follows what that passage names (titles, leading names, rare shared words) to
the passage that the question leads to. Both passes end in two small logistic models, one for passages and one for
the units inside a passage, over features that are shares of the pool's own maximum and so need no fixed scale:

    P(unit needed) = P(passage needed) * P(unit needed | its passage is)

`WEIGHTS` holds their fitted coefficients; `python -m ragthrift_bench.fit` makes them anew from labelled rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ragthrift.compress.pool import Candidate, Pool

PASSAGE_FEATURES = ("bm25", "bm25_rank", "coverage", "best_unit", "best_unit_rank", "named", "named_share", "phrase")
UNIT_FEATURES = ("bm25", "share_of_best", "coverage", "phrase", "lead", "neighbour", "length")
PASSAGE_BRIDGE = ("first", "first_rank", "named_by_evidence", "shares_rare", "completes")
UNIT_BRIDGE = ("names_evidence", "shares_rare", "lead_of_named", "share_of_rare")

SEEDS = 8
"""Units of the first look whose names and rare words the bridge pass follows."""
K1, B_UNIT, B_PASSAGE = 1.2, 0.25, 0.75
"""BM25's usual constants (Robertson and Zaragoza 2009, section 3.2); units are short, so length counts for less."""

Row = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model."""

    weights: Row
    bias: float

    def probability(self, row: Row) -> float:
        """The probability that the model gives to a feature row."""
        odds = self.bias + sum(map(mul, self.weights, row))
        return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0  # exp overflows above 709


@dataclass(frozen=True, slots=True)
class Weights:
    """The four fitted models: passages and units, at first look and after the bridge pass."""

    passage: Logistic
    unit: Logistic
    passage_bridge: Logistic
    unit_bridge: Logistic


@dataclass(frozen=True, slots=True)
class Belief:
    """How likely each passage is needed, and each unit if its passage is."""

    passages: tuple[float, ...]
    units: tuple[float, ...]

    def needed(self, pool: Pool) -> tuple[float, ...]:
        """How likely each unit is needed."""
        return tuple(
            self.passages[candidate.passage] * unit for candidate, unit in zip(pool.candidates, self.units, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Look:
    """The features of the first look: one row a passage, one row a unit; and the names that each passage goes by."""

    passages: tuple[Row, ...]
    units: tuple[Row, ...]
    names: tuple[tuple[tuple[str, ...], ...], ...]


def believe(look: Look, weights: Weights) -> Belief:
    """What the first look says."""
    return Belief(
        tuple(map(weights.passage.probability, look.passages)), tuple(map(weights.unit.probability, look.units))
    )


def bridged(pool: Pool, look: Look, belief: Belief, weights: Weights) -> Belief:
    """What the bridge pass says after the evidence that `belief` found."""
    passages, units = bridge(pool, look, belief)
    return Belief(
        tuple(weights.passage_bridge.probability(a + b) for a, b in zip(look.passages, passages, strict=True)),
        tuple(weights.unit_bridge.probability(a + b) for a, b in zip(look.units, units, strict=True)),
    )


def first_look(pool: Pool) -> Look:
    """Features that need only the query and the words of the pool."""
    names = _names(pool)
    units = _unit_bm25(pool)
    phrases = _phrases(pool)
    best = [max((units[c] for c in own), default=0.0) for own in pool.of]
    phrase = [max((phrases[c] for c in own), default=0.0) for own in pool.of]
    bm25 = _relative(_passage_bm25(pool))
    asked = sum(pool.idf(word) for word in pool.asked)
    coverage = [_share(sum(pool.idf(w) for w in pool.asked & bag), asked) for bag in pool.vocabulary]
    named = [_named(pool, own) for own in names]
    ranks, best_ranks = _ranks(bm25), _ranks(best)
    passages = tuple(
        (bm25[p], ranks[p], coverage[p], best[p], best_ranks[p], *named[p], phrase[p]) for p in range(len(pool.of))
    )
    return Look(passages, _unit_rows(pool, units, best, phrases), names)


def _unit_rows(pool: Pool, bm25: Sequence[float], best: Sequence[float], phrases: Sequence[float]) -> tuple[Row, ...]:
    asked = sum(pool.unit_idf.values())
    rows: list[Row] = []
    for own in pool.of:
        for c in own:
            candidate = pool.candidates[c]
            neighbours = [bm25[n] for n in (c - 1, c + 1) if own[0] <= n <= own[-1]]
            rows.append(
                (
                    bm25[c],
                    _share(bm25[c], best[candidate.passage]),
                    _share(sum(pool.unit_idf[w] for w in _held(pool, candidate)), asked),
                    phrases[c],
                    1 / (1 + candidate.place),
                    max(neighbours, default=0.0),
                    min(1.0, len(candidate.words) / 40),
                )
            )
    return tuple(rows)


def bridge(pool: Pool, look: Look, belief: Belief) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Features that follow the evidence found so far into other passages: one row a passage, one row a unit."""
    needed = belief.needed(pool)
    named_by, names_evidence = _links(pool, look, belief)
    rare = _rare_words(pool, needed)
    best_rare = [max((rare[c] for c in own), default=0.0) for own in pool.of]
    first = _relative(belief.passages)
    ranks = _ranks(belief.passages)
    completes = _completes(pool, belief)
    passages = tuple((first[p], ranks[p], named_by[p], best_rare[p], completes[p]) for p in range(len(pool.of)))
    units = tuple(
        (
            names_evidence[c],
            rare[c],
            named_by[candidate.passage] / (1 + candidate.place),
            _share(rare[c], best_rare[candidate.passage]),
        )
        for c, candidate in enumerate(pool.candidates)
    )
    return passages, units


def _links(pool: Pool, look: Look, belief: Belief) -> tuple[list[float], list[float]]:
    """How strongly evidence elsewhere names each passage, and how strongly each unit names evidence elsewhere."""
    named_by = [0.0] * len(pool.of)
    names_evidence = [0.0] * len(pool.candidates)
    for passage, names in enumerate(look.names):
        for name in names:
            strength = min(1.0, sum(pool.idf(word) for word in name) / 4)
            if pool.asked.issuperset(name):
                strength *= 0.3  # the question names it already: nothing new was followed
            for c in _mentions(pool, name, passage):
                other = pool.candidates[c].passage
                named_by[passage] = max(named_by[passage], belief.passages[other] * strength)
                names_evidence[c] = max(names_evidence[c], belief.passages[passage] * strength)
    return named_by, names_evidence


def _mentions(pool: Pool, name: tuple[str, ...], passage: int) -> Iterable[int]:
    """The units outside the source of `passage` that hold the words of `name` in a row."""
    rarest = min(name, key=lambda word: pool.held.get(word, 0))
    for other in pool.holders(rarest):
        if pool.source[other] != pool.source[passage]:
            for c in pool.of[other]:
                candidate = pool.candidates[c]
                if rarest in candidate.bag and _holds(candidate.words, name):
                    yield c


def _rare_words(pool: Pool, needed: Sequence[float]) -> list[float]:
    """How much each unit shares with evidence of another source in rare words that nobody asked for."""
    shares = [0.0] * len(pool.candidates)
    for seed in sorted(range(len(needed)), key=lambda c: -needed[c])[:SEEDS]:
        evidence = pool.candidates[seed]
        home = pool.source[evidence.passage]
        weights: dict[int, float] = {}
        for word in evidence.bag.union(pool.titles[evidence.passage]) - pool.asked:
            if pool.links(word):
                for other in pool.holders(word):
                    if pool.source[other] != home:
                        for c in pool.of[other]:
                            if word in pool.candidates[c].bag:
                                weights[c] = weights.get(c, 0.0) + pool.idf(word)
        for c, weight in weights.items():
            shares[c] = max(shares[c], needed[seed] * min(1.0, weight / 6))
    return shares


def _completes(pool: Pool, belief: Belief) -> list[float]:
    """The share of the question that each passage answers and the best passage of another source does not."""
    asked = sum(pool.idf(word) for word in pool.asked)
    order = sorted(range(len(pool.of)), key=lambda p: -belief.passages[p])
    shares: list[float] = []
    for passage, bag in enumerate(pool.vocabulary):
        best = next((p for p in order if pool.source[p] != pool.source[passage]), None)
        open_words = pool.asked & bag if best is None else (pool.asked & bag) - pool.vocabulary[best]
        shares.append(_share(sum(pool.idf(word) for word in open_words), asked))
    return shares


def _names(pool: Pool) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """What each passage goes by: its title, and the phrase near its start that some other passage uses too.

    Prose tends to open with what it is about, so a leading phrase that turns up in a few other passages is a name,
    found by document frequency and not by capital letters.
    """
    names: list[tuple[tuple[str, ...], ...]] = []
    for passage, title in enumerate(pool.titles):
        own = [title] if title else []
        leading = _leading_name(pool, passage)
        if leading and leading not in own:
            own.append(leading)
        names.append(tuple(own))
    return tuple(names)


def _leading_name(pool: Pool, passage: int) -> tuple[str, ...] | None:
    if not pool.of[passage]:
        return None
    lead = pool.candidates[pool.of[passage][0]].words
    for start in range(min(3, len(lead))):
        for size in (4, 3, 2):
            name = lead[start : start + size]
            if len(name) < size or any(pool.held[word] < 2 for word in name) or not any(map(pool.links, name)):
                continue
            mentioning = {pool.candidates[c].passage for c in _mentions(pool, name, passage)}
            if mentioning and len(mentioning) <= max(1, 0.3 * len(pool.of)):
                return name
    return None


def _named(pool: Pool, names: Sequence[tuple[str, ...]]) -> tuple[float, float]:
    """How surely the question names the passage, and the largest share of one of its names that the question holds."""
    surely = share = 0.0
    for name in names:
        weight = sum(pool.idf(word) for word in name)
        if _holds(pool.query, name):
            surely = max(surely, min(1.0, weight / 4))
        share = max(share, _share(sum(pool.idf(w) for w in name if w in pool.asked), weight))
    return surely, share


def _phrases(pool: Pool) -> list[float]:
    """The weight of the question's word pairs that each unit holds, as a share of the question's weight."""
    pairs = set(zip(pool.query, pool.query[1:], strict=False))
    asked = 2 * sum(pool.idf(word) for word in pool.asked)
    shares: list[float] = []
    for candidate in pool.candidates:
        weight = 0.0
        if len(pool.asked & candidate.bag) > 1:
            held = pairs.intersection(zip(candidate.words, candidate.words[1:], strict=False))
            weight = sum(pool.idf(a) + pool.idf(b) for a, b in held)
        shares.append(_share(weight, asked))
    return shares


def _unit_bm25(pool: Pool) -> list[float]:
    """BM25 of each unit with its context among the units of the pool, as a share of the best."""
    sizes = [len(candidate.words) + len(candidate.context) for candidate in pool.candidates]
    average = _share(sum(sizes), len(sizes))
    scores: list[float] = []
    for candidate, size in zip(pool.candidates, sizes, strict=True):
        counts = [
            (pool.unit_idf[word], candidate.words.count(word) + candidate.context.count(word))
            for word in _held(pool, candidate)
        ]
        scores.append(_bm25(counts, B_UNIT, _share(size, average)))
    return _relative(scores)


def _held(pool: Pool, candidate: Candidate) -> frozenset[str]:
    """The words of the question that the unit holds, its context included."""
    return (pool.asked & candidate.bag) | pool.asked.intersection(candidate.context)


def _passage_bm25(pool: Pool) -> list[float]:
    texts = [(title, *(pool.candidates[c].words for c in own)) for title, own in zip(pool.titles, pool.of, strict=True)]
    sizes = [sum(map(len, text)) for text in texts]
    average = _share(sum(sizes), len(sizes))
    return [
        _bm25(
            [(pool.idf(word), sum(part.count(word) for part in text)) for word in pool.asked & bag],
            B_PASSAGE,
            _share(size, average),
        )
        for text, bag, size in zip(texts, pool.vocabulary, sizes, strict=True)
    ]


def _bm25(counts: Iterable[tuple[float, int]], b: float, length: float) -> float:
    """BM25 from the (inverse document frequency, count) of each shared word and the length over the average."""
    norm = K1 * (1 - b + b * length)
    return sum(idf * count * (K1 + 1) / (count + norm) for idf, count in counts)


def _holds(sequence: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether the words of `phrase` stand in `sequence` in a row."""
    at = -1
    try:
        while True:
            at = sequence.index(phrase[0], at + 1)
            if sequence[at : at + len(phrase)] == phrase:
                return True
    except ValueError:
        return False


def _ranks(values: Sequence[float]) -> list[float]:
    """One over the rank of each value; the first of equal values ranks higher."""
    ranks = [0.0] * len(values)
    for rank, index in enumerate(sorted(range(len(values)), key=lambda i: -values[i]), 1):
        ranks[index] = 1 / rank
    return ranks


def _relative(values: Collection[float]) -> list[float]:
    top = max(values, default=0.0)
    return [_share(value, top) for value in values]


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
