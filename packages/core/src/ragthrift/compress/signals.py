"""What models add to the lexical belief: an embedder over all units, a cross-encoder over the few that it may change.

The cascade asks the cross-encoder in two steps. First it scores one window a passage, the unit that looks best there,
because that is the cheapest way to learn that a passage is about the question although it uses other words. Then it
scores the units that stand best after that. A unit is shown with its title and the sentence before it; scored alone,
"It opened in 1990" is about nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragthrift.models.base import SpanScorer
from ragthrift.models.calls import Call, Embed, Failure, FindSpans, Numbers, Score

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ragthrift.compress.evidence import Belief
    from ragthrift.compress.pool import Pool
    from ragthrift.models.base import Embedder, Scorer
    from ragthrift.types import Passage

SCORER_WEIGHT = 0.4
"""How much a cross-encoder's log-odds count beside the lexical ones; flat between 0.3 and 0.5 on tuning rows."""
EMBEDDER_WEIGHT = 0.4
"""How much one standard deviation of cosine similarity counts, in log-odds."""
WIDE_SHARE = 0.7
"""Share of the pairs spent on one window a passage; the rest goes to the units that then look best."""
UNSEEN = 1.5
"""Log-odds by which a unit that was not scored is taken to stand below the best scored unit of its passage."""
LOWEST, HIGHEST = -8.0, 8.0
MOST_PAIRS = 256
"""Pairs that one call may cost, however large the pool."""
BEFORE = 200
"""Characters of the sentence before a unit that its window shows."""


@dataclass(frozen=True, slots=True)
class Signals:
    """How likely each unit is needed by all evidence, how many pairs a model scored, and which models failed."""

    needed: tuple[float, ...]
    scored_pairs: int = 0
    fallbacks: tuple[str, ...] = ()


def gather(
    query: str,
    passages: Sequence[Passage],
    pool: Pool,
    belief: Belief,
    *,
    scorer: Scorer | None,
    embedder: Embedder | None,
    share: float,
) -> Generator[Call, Numbers | Failure, Signals]:
    """The lexical belief, corrected by the models that answer; one that fails is named and done without."""
    odds = [_logit(p) for p in belief.needed(pool)]
    if not odds or (scorer is None and embedder is None):
        return Signals(tuple(belief.needed(pool)))
    fallbacks: list[str] = []
    pairs = 0
    if embedder is not None:
        nearness = yield from _nearness(query, passages, pool, embedder)
        if isinstance(nearness, Failure):
            fallbacks.append(f"embedder: {nearness.reason}")
        else:
            odds = [odd + EMBEDDER_WEIGHT * near for odd, near in zip(odds, nearness, strict=True)]
    if isinstance(scorer, SpanScorer) and getattr(scorer, "finds_spans", True):
        pairs = len(passages)
        odds, failure = yield from _spans(query, passages, pool, odds, scorer)
        fallbacks += [f"scorer: {failure.reason}"] if failure else []
    elif scorer is not None:
        odds, pairs, failure = yield from _cascade(query, passages, pool, odds, scorer, share)
        fallbacks += [f"scorer: {failure.reason}"] if failure else []
    return Signals(tuple(map(_probability, odds)), pairs, tuple(fallbacks))


def _cascade(
    query: str, passages: Sequence[Passage], pool: Pool, odds: Sequence[float], scorer: Scorer, share: float
) -> Generator[Call, Numbers | Failure, tuple[list[float], int, Failure | None]]:
    most = min(MOST_PAIRS, max(2, int(share * len(odds))))
    best = sorted((max(own, key=lambda c: odds[c]) for own in pool.of if own), key=lambda c: -odds[c])
    wide = best[: max(1, int(WIDE_SHARE * most))]
    scores: dict[int, float] = {}
    while wide:
        reply = yield Score(scorer, query, tuple(window(passages, pool, c) for c in wide))
        if isinstance(reply, Failure):
            return (_mixed(pool, odds, scores) if scores else list(odds)), len(scores), reply
        scores.update(zip(wide, _log_odds([row[0] for row in reply]), strict=True))
        mixed = _mixed(pool, odds, scores)
        rest = sorted((c for c in range(len(odds)) if c not in scores), key=lambda c: -mixed[c])
        wide = rest[: min(most - len(scores), max(1, most // 6))]
    return _mixed(pool, odds, scores), len(scores), None


def _mixed(pool: Pool, odds: Sequence[float], scores: dict[int, float]) -> list[float]:
    mixed = list(odds)
    for own in pool.of:
        best = max((scores[c] for c in own if c in scores), default=LOWEST + UNSEEN)
        for c in own:
            mixed[c] += SCORER_WEIGHT * max(LOWEST, scores.get(c, best - UNSEEN))
    return mixed


def _spans(
    query: str, passages: Sequence[Passage], pool: Pool, odds: Sequence[float], scorer: SpanScorer
) -> Generator[Call, Numbers | Failure, tuple[list[float], Failure | None]]:
    reply = yield FindSpans(scorer, query, tuple(passage.text for passage in passages))
    if isinstance(reply, Failure):
        return list(odds), reply
    mixed = list(odds)
    for own, flat in zip(pool.of, reply, strict=True):
        spans = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
        for c in own:
            unit = pool.candidates[c].unit
            found = max((score for start, end, score in spans if start < unit.end and unit.start < end), default=0.0)
            mixed[c] += SCORER_WEIGHT * _logit(found)
    return mixed, None


def _nearness(
    query: str, passages: Sequence[Passage], pool: Pool, embedder: Embedder
) -> Generator[Call, Numbers | Failure, list[float] | Failure]:
    """How near each unit is to the query, in standard deviations of the pool."""
    asked = yield Embed(embedder, (query,), "query")
    if isinstance(asked, Failure):
        return asked
    vectors = yield Embed(embedder, tuple(window(passages, pool, c) for c in range(len(pool.candidates))), "passage")
    if isinstance(vectors, Failure):
        return vectors
    if vectors and len(vectors[0]) != len(asked[0]):
        return Failure(f"the query has {len(asked[0])} dimensions, the passages have {len(vectors[0])}")
    cosines = [sum(a * b for a, b in zip(asked[0], vector, strict=True)) for vector in vectors]
    mean = sum(cosines) / len(cosines)
    deviation = math.sqrt(sum((cosine - mean) ** 2 for cosine in cosines) / len(cosines))
    return [(cosine - mean) / deviation if deviation > 1e-9 else 0.0 for cosine in cosines]


def window(passages: Sequence[Passage], pool: Pool, c: int) -> str:
    """The text of a candidate as a model sees it: title, the end of the sentence before, the unit."""
    candidate = pool.candidates[c]
    passage = passages[candidate.passage]
    parts = [f"{passage.title}."] if passage.title else []
    if c > pool.of[candidate.passage][0]:
        before = pool.candidates[c - 1].unit
        parts.append(passage.text[max(before.start, before.end - BEFORE) : before.end])
    parts.append(passage.text[candidate.unit.start : candidate.unit.end])
    return " ".join(parts)


def _log_odds(scores: Sequence[float]) -> list[float]:
    """Scores as log-odds: those that all lie within 0 and 1 are taken for probabilities, others for log-odds."""
    if all(0 <= score <= 1 for score in scores):
        return [_logit(score) for score in scores]
    return [max(LOWEST, min(2 * HIGHEST, score)) for score in scores]


def _logit(probability: float) -> float:
    clipped = max(3.4e-4, min(1 - 3.4e-4, probability))  # within LOWEST and HIGHEST
    return math.log(clipped / (1 - clipped))


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))
