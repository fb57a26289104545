"""Builds the embedded set: `python -m ragthrift_bench.data.build` cuts the corpus, freezes the pools, writes the file.

The same sources always give the same rows: what looks random is drawn from a hash of the ids.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from ragthrift.errors import DataError
from ragthrift.tokens import Approximate
from ragthrift_bench.data import CORPUS, EMBEDDED, QUESTIONS
from ragthrift_bench.data.bm25 import Index
from ragthrift_bench.data.source import Chunk, Question, chunks, questions
from ragthrift_bench.harness.match import found

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FEWEST, MOST = 10, 20
LEAST_TOKENS, MOST_TOKENS = 1_200, 2_500
NOISE = 1.2
"""How far a passage may move from its place in the retriever's order, as a share of the pool: 0 is BM25 itself."""


class PassageRow(TypedDict):
    """One passage of a frozen pool."""

    id: str
    title: str
    text: str
    doc: str
    gold: bool


class EvidenceRow(TypedDict):
    """One verbatim piece of a passage that the answer needs."""

    passage: str
    text: str


class Row(TypedDict):
    """One line of the built file."""

    id: str
    source: str
    question: str
    answers: list[str]
    qtype: str
    passages: list[PassageRow]
    evidence: list[EvidenceRow]


def holds(chunk: Chunk, answer: str) -> bool:
    """Whether the answer can be read in the passage or in its title: as a string, or as the suites match answers."""
    text = f"{chunk.title}\n{chunk.text}"
    return plain(answer) in plain(text) or found(answer, text)


def plain(text: str) -> str:
    return " ".join(text.casefold().split())


def draw(*ids: str) -> float:
    """A number in [0, 1) that depends on nothing but the ids."""
    return int.from_bytes(hashlib.sha256("\n".join(ids).encode()).digest()[:6]) / 2**48


@dataclass(frozen=True)
class Builder:
    """The corpus and what it takes to draw pools from it."""

    chunks: tuple[Chunk, ...]

    @cached_property
    def index(self) -> Index:
        return Index.of([f"{chunk.title}\n{chunk.text}" for chunk in self.chunks])

    @cached_property
    def tokens(self) -> dict[str, int]:
        return {chunk.id: Approximate().count(f"{chunk.title}\n{chunk.text}") for chunk in self.chunks}

    def row(self, question: Question) -> Row:
        """The question with its frozen pool."""
        evidence = [(self.quoted(question, doc, quote), quote) for doc, quote in question.evidence]
        gold = {chunk.id: chunk for chunk, _ in evidence}
        self._check_answers(question, list(gold.values()))
        pool = self._order(question, self._pool(question, list(gold.values())))
        return {
            "id": question.id,
            "source": "embedded",
            "question": question.ask,
            "answers": list(question.answers),
            "qtype": question.qtype,
            "passages": [
                {"id": c.id, "title": c.title, "text": c.text, "doc": c.doc, "gold": c.id in gold} for c in pool
            ],
            "evidence": [{"passage": chunk.id, "text": quote} for chunk, quote in evidence],
        }

    def quoted(self, question: Question, doc: str, quote: str) -> Chunk:
        """The one chunk of `doc` that holds `quote`."""
        holders = [chunk for chunk in self._of(question, doc) if quote in chunk.text]
        if not quote.strip() or len(holders) != 1:
            raise DataError(f"{question.id}: {quote!r} is in {len(holders)} passages of {doc!r}, wants exactly 1")
        return holders[0]

    def _of(self, question: Question, doc: str) -> list[Chunk]:
        cut = [chunk for chunk in self.chunks if chunk.doc == doc]
        if not cut:
            raise DataError(f"{question.id}: no document {doc!r} in the corpus")
        return cut

    def _check_answers(self, question: Question, gold: Sequence[Chunk]) -> None:
        if bool(question.answers) != bool(question.evidence):
            raise DataError(f"{question.id}: answers and evidence come together or not at all")
        if bool(question.answers) == (question.qtype == "unanswerable"):
            raise DataError(f"{question.id}: answers {question.answers!r} do not fit the type {question.qtype!r}")
        quotes = plain(" \n ".join(quote for _, quote in question.evidence))
        told = [plain(answer) in quotes for answer in question.answers]
        needed = all(told) if question.qtype == "aggregation" else any(told) or not told
        if not needed:
            raise DataError(f"{question.id}: the quotes do not hold {question.answers!r}")
        if question.qtype != "comparison" and any(plain(answer) in plain(question.ask) for answer in question.answers):
            raise DataError(f"{question.id}: the question gives away one of {question.answers!r}")

    def _pool(self, question: Question, gold: list[Chunk]) -> list[Chunk]:
        """The gold passages, then the required distractors, then the most similar ones up to the size of the pool."""
        pool = gold + [chunk for chunk in self._near(question) if chunk not in gold]
        size = sum(self.tokens[chunk.id] for chunk in pool)
        wanted = LEAST_TOKENS + 150 + int(draw(question.id, "size") * (MOST_TOKENS - LEAST_TOKENS - 350))
        for chunk in self._distractors(question, gold):
            if len(pool) == MOST or (len(pool) >= FEWEST and size >= wanted):
                break
            room = MOST_TOKENS - size - 60 * max(0, FEWEST - len(pool) - 1)
            if chunk not in pool and self.tokens[chunk.id] <= room:
                pool.append(chunk)
                size += self.tokens[chunk.id]
        if not FEWEST <= len(pool) <= MOST or not LEAST_TOKENS <= size <= MOST_TOKENS:
            raise DataError(f"{question.id}: the pool has {len(pool)} passages of {size} tokens")
        return pool

    def _near(self, question: Question) -> list[Chunk]:
        """The passage of each required document that is most like the question and does not hold the answer."""
        ranked = self._ranked(question, question.ask)
        near = [next((chunk for chunk in ranked if chunk.doc == doc), None) for doc in question.near]
        if None in near:
            raise DataError(f"{question.id}: a document of {question.near!r} has no passage that may be a distractor")
        return [chunk for chunk in near if chunk]

    def _distractors(self, question: Question, gold: Sequence[Chunk]) -> Iterator[Chunk]:
        """Passages like the question, and every third one like the gold passages: what a follow-up search brings."""
        like_question = iter(self._ranked(question, question.ask))
        like_gold = iter(self._ranked(question, " ".join(chunk.text for chunk in gold) or question.ask))
        for first, second, third in zip(like_question, like_question, like_gold, strict=False):
            yield from (first, second, third)

    def _ranked(self, question: Question, query: str) -> list[Chunk]:
        """Passages that may stand beside the gold ones, the most similar first."""
        scores = self.index.scores(query)
        order = sorted(range(len(scores)), key=lambda at: (-scores[at], draw(question.id, self.chunks[at].id)))
        banned = (*question.answers, *question.absent)
        return [
            chunk
            for chunk in (self.chunks[at] for at in order)
            if chunk.doc not in question.without and not any(holds(chunk, answer) for answer in banned)
        ]

    def _order(self, question: Question, pool: list[Chunk]) -> list[Chunk]:
        """The pool as a retriever with some noise would rank it."""
        scores = dict(zip((chunk.id for chunk in self.chunks), self.index.scores(question.ask), strict=True))
        ranked = sorted(pool, key=lambda chunk: (-scores[chunk.id], chunk.id))
        noise = {chunk.id: draw(question.id, chunk.id) * NOISE * len(pool) for chunk in pool}
        places = sorted((place + noise[chunk.id], chunk.id, place) for place, chunk in enumerate(ranked))
        return [ranked[place] for *_, place in places]


def rows() -> list[Row]:
    """Every question of the set with its pool, checked."""
    builder = Builder(tuple(chunks(CORPUS)))
    return [builder.row(question) for question in questions(QUESTIONS)]


def lines(built: Sequence[Row]) -> bytes:
    """The rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in built).encode()


def main() -> None:
    built = rows()
    EMBEDDED.write_bytes(gzip.compress(lines(built), mtime=0))
    groups = itertools.groupby(built, key=lambda row: row["qtype"])
    counts = ", ".join(f"{qtype} {len(list(group))}" for qtype, group in groups)
    sys.stdout.write(f"{len(built)} questions in {EMBEDDED.name}: {counts}\n")


if __name__ == "__main__":
    main()
