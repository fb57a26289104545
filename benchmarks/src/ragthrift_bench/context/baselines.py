"""The plain ways to cut a context that need no product: the bar that a product has to clear."""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from ragthrift.tokens import TokenCounter, label
from ragthrift.types import Passage, Span
from ragthrift_bench.context.arms import Arm, Keep, Kept, Task
from ragthrift_bench.context.models import Models
from ragthrift_bench.harness.match import sentence_ranges

Unit = tuple[int, int, int]
"""A sentence: index of its passage, start, end."""
_WORDS = re.compile(r"\w+")


def truncate(models: Models) -> Keep:
    """The passages as they come, the last one cut where the budget ends."""
    return lambda task: Kept(fill(task, range(len(task.passages))))


def random_sentences(models: Models) -> Keep:
    """Sentences drawn blindly, the same ones on every run."""

    def keep(task: Task) -> Kept:
        units = list(units_of(task))
        seed = hashlib.sha256(task.question.encode("utf-8", "replace")).hexdigest()
        random.Random(seed).shuffle(units)
        return Kept(pack(task, units))

    return keep


def bm25_topk(models: Models) -> Keep:
    """Whole passages, best BM25 first, the last one cut where the budget ends."""
    return lambda task: Kept(fill(task, _best(bm25(task.question, [_text(p) for p in task.passages]))))


def bi_encoder_topk(models: Models) -> Keep:
    """Whole passages, nearest embedding first, the last one cut where the budget ends."""
    models.embedder  # noqa: B018  # a missing model is found out before the run

    def keep(task: Task) -> Kept:
        query = models.vectors([task.question], "query")[0]
        scores = models.vectors([_text(passage) for passage in task.passages]) @ query
        return Kept(fill(task, _best([float(score) for score in scores])))

    return keep


def cross_encoder_topk(models: Models) -> Keep:
    """Whole passages, best cross-encoder score first, the last one cut where the budget ends."""
    scorer = models.scorer
    return lambda task: Kept(fill(task, _best(scorer.score(task.question, [_text(p) for p in task.passages]))))


def sentence_cross_encoder(models: Models) -> Keep:
    """Every sentence, its title in front, through the cross-encoder; the best ones in source order (DSLR)."""
    scorer = models.scorer

    def keep(task: Task) -> Kept:
        units = units_of(task)
        texts = [label(task.passages[at]) + task.passages[at].text[start:end] for at, start, end in units]
        return Kept(pack(task, [units[place] for place in _best(scorer.score(task.question, texts))]))

    return keep


def units_of(task: Task) -> list[Unit]:
    """Every sentence of the pool."""
    return [(at, start, end) for at, passage in enumerate(task.passages) for start, end in _ranges(passage.text)]


def fill(task: Task, order: Sequence[int]) -> tuple[Passage, ...]:
    """Whole passages in `order` while they fit, then as much of the next one as the budget allows."""
    kept: list[Passage] = []
    for at in order:
        passage = replace(task.passages[at], index=at)
        if task.tokens([*kept, passage]) <= task.budget:
            kept.append(passage)
            continue
        end = _longest(task, kept, passage)
        if end:
            kept.append(replace(passage, text=passage.text[:end], spans=(Span(0, end),)))
        break
    return tuple(kept)


def _longest(task: Task, kept: Sequence[Passage], passage: Passage) -> int:
    """The end of the longest prefix of whole words of `passage` that still fits behind `kept`."""
    ends = [match.end() for match in re.finditer(r"\S+", passage.text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        text = passage.text[: ends[middle - 1]]
        if task.tokens([*kept, replace(passage, text=text)]) <= task.budget:
            low = middle
        else:
            high = middle - 1
    return ends[low - 1] if low else 0


def pack(task: Task, order: Sequence[Unit]) -> tuple[Passage, ...]:
    """The sentences of `order` that fit, best first, put together in source order.

    Tokens are summed sentence by sentence while filling, then the rendered text is counted and the last sentences are
    taken back until it fits.
    """
    chosen: list[Unit] = []
    seen: set[int] = set()
    used = 0
    for unit in order:
        at, start, end = unit
        passage = task.passages[at]
        cost = _count(task.counter, " " + passage.text[start:end])
        cost += 0 if at in seen else _count(task.counter, "\n\n" + label(passage))
        if used + cost <= task.budget:
            chosen.append(unit)
            seen.add(at)
            used += cost
    while chosen and task.tokens(joined(task, chosen)) > task.budget:
        chosen.pop()
    return joined(task, chosen)


def joined(task: Task, units: Sequence[Unit]) -> tuple[Passage, ...]:
    """One passage for each that has a kept sentence, its sentences in source order with a space between."""
    spans: dict[int, list[Span]] = {}
    for at, start, end in sorted(units):
        spans.setdefault(at, []).append(Span(start, end))
    return tuple(
        replace(
            task.passages[at],
            text=" ".join(task.passages[at].text[span.start : span.end] for span in parts),
            spans=tuple(parts),
            index=at,
        )
        for at, parts in spans.items()
    )


def bm25(query: str, texts: Sequence[str], k1: float = 1.2, b: float = 0.75) -> list[float]:
    """Okapi BM25 of `query` on each text, the texts being the collection."""
    documents = [Counter(_WORDS.findall(text.lower())) for text in texts]
    lengths = [sum(document.values()) for document in documents]
    mean = sum(lengths) / len(lengths) if lengths else 1.0
    scores = [0.0] * len(texts)
    for word in set(_WORDS.findall(query.lower())):
        having = sum(word in document for document in documents)
        idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
        for at, document in enumerate(documents):
            if word in document:
                norm = k1 * (1 - b + b * lengths[at] / (mean or 1.0))
                scores[at] += idf * document[word] * (k1 + 1) / (document[word] + norm)
    return scores


def _best(scores: Sequence[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda at: (-scores[at], at))


def _text(passage: Passage) -> str:
    return label(passage) + passage.text


@lru_cache(maxsize=1 << 14)
def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(sentence_ranges(text))


@lru_cache(maxsize=1 << 16)
def _count(counter: TokenCounter, text: str) -> int:
    return counter.count(text)


ARMS = (
    Arm("rival:truncate", truncate, note="first passages first"),
    Arm("rival:random_sentences", random_sentences, note="chance"),
    Arm("rival:bm25_topk", bm25_topk, note="whole passages by BM25"),
    Arm("rival:bi_encoder_topk", bi_encoder_topk, model=True, note="whole passages by MiniLM int8"),
    Arm("rival:cross_encoder_topk", cross_encoder_topk, model=True, note="whole passages by the int8 cross-encoder"),
    Arm(
        "rival:sentence_cross_encoder", sentence_cross_encoder, model=True, note="DSLR: sentences by the cross-encoder"
    ),
)
