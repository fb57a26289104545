"""The neural models of a run: one embedder and one cross-encoder that every arm shares, ours and the rivals'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragthrift.models.base import Embedder, Role, Scorer, Vector

Matrix = NDArray[np.float32]


class Models:
    """Loads the embedder and the cross-encoder when first asked for, and counts the pairs that are scored.

    With `memo` a text is scored once in a run, so that every arm sees the same score for it and a second arm does not
    pay for it again. Without it the models run as they are, which is what is timed.
    """

    def __init__(
        self,
        *,
        memo: bool = True,
        scorer: Scorer | None = None,
        embedder: Embedder | None = None,
        threads: int | None = None,
    ) -> None:
        self._given = scorer is not None or embedder is not None
        self._threads = threads
        self._memo = memo
        self.plain_scorer = scorer
        self.plain_embedder = embedder
        self._scorer_out: Scorer | None = None
        self._embedder_out: Embedder | None = None
        self.pairs = 0

    @property
    def scorer(self) -> Scorer:
        """The cross-encoder; raises when its package or its file is missing."""
        if self._scorer_out is None:
            inner = self.plain_scorer = self.plain_scorer or _onnx_scorer(self._threads)
            self._scorer_out = _Scorer(inner, self, memo=self._memo)
        return self._scorer_out

    @property
    def embedder(self) -> Embedder:
        """The sentence embedder; raises when its package or its file is missing."""
        if self._embedder_out is None:
            inner = self.plain_embedder = self.plain_embedder or _onnx_embedder(self._threads)
            self._embedder_out = _Embedder(inner) if self._memo else inner
        return self._embedder_out

    def to_time(self) -> Models:
        """The same models without the memory, on one thread: what one call costs."""
        if self._given:
            return Models(memo=False, scorer=self.plain_scorer, embedder=self.plain_embedder)
        return Models(memo=False, threads=1)

    def vectors(self, texts: Sequence[str], role: Role = "passage") -> Matrix:
        """The unit vectors of `texts` as a matrix."""
        return np.array(self.embedder.embed(texts, role=role), dtype=np.float32).reshape(len(texts), -1)


class _Scorer:
    """Scores through `inner` and adds the pairs to the run's count."""

    def __init__(self, inner: Scorer, run: Models, *, memo: bool) -> None:
        self._inner = inner
        self._run = run
        self._known: dict[tuple[str, str], float] | None = {} if memo else None

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        self._run.pairs += len(texts)
        if self._known is None:
            return [float(score) for score in self._inner.score(query, texts)]
        new = [text for text in dict.fromkeys(texts) if (query, text) not in self._known]
        if new:
            scores = self._inner.score(query, new)
            self._known.update({(query, text): float(score) for text, score in zip(new, scores, strict=True)})
        return [self._known[query, text] for text in texts]


class _Embedder:
    """Embeds each text once."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self._known: dict[tuple[str, str], Vector] = {}

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> list[Vector]:
        new = [text for text in dict.fromkeys(texts) if (role, text) not in self._known]
        if new:
            vectors = self._inner.embed(new, role=role)
            self._known.update({(role, text): vector for text, vector in zip(new, vectors, strict=True)})
        return [self._known[role, text] for text in texts]


def _onnx_scorer(threads: int | None) -> Scorer:
    from ragthrift.models import OnnxScorer

    scorer = OnnxScorer(threads=threads)
    scorer.score("warm", ["up"])  # a missing file or package must show now, not in the middle of a run
    return scorer


def _onnx_embedder(threads: int | None) -> Embedder:
    from ragthrift.models import OnnxEmbedder

    embedder = OnnxEmbedder(threads=threads)
    embedder.embed(["warm up"])
    return embedder
