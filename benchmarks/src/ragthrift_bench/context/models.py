"""The neural models of a run: one embedder and one cross-encoder that every arm shares, ours and the rivals'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ragthrift.models.base import Embedder, Role, Scorer, Vector

Matrix = NDArray[np.float32]


class Models:
    """Loads the embedder and the cross-encoder when first asked for, and counts the pairs that are scored.

    With `memo` a text is scored once in a run, alone: an int8 model gives a pair another score in another batch, so
    only then does every arm see the same scores. Without it the models run as they are, which is what is timed.
    """

    def __init__(self, *, memo: bool = True, scorer: Scorer | None = None, embedder: Embedder | None = None) -> None:
        self._memo = memo
        self._scorer = scorer
        self._embedder = embedder
        self._scorer_out: Scorer | None = None
        self._embedder_out: Embedder | None = None
        self.pairs = 0

    @property
    def scorer(self) -> Scorer:
        """The cross-encoder; raises when its package or its file is missing."""
        if self._scorer_out is None:
            inner = self._scorer if self._scorer is not None else _onnx_scorer()
            self._scorer_out = _Scorer(inner, self, memo=self._memo)
        return self._scorer_out

    @property
    def embedder(self) -> Embedder:
        """The sentence embedder; raises when its package or its file is missing."""
        if self._embedder_out is None:
            inner = self._embedder if self._embedder is not None else _onnx_embedder()
            self._embedder_out = _Embedder(inner) if self._memo else inner
        return self._embedder_out

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
        for text in texts:
            if (query, text) not in self._known:
                self._known[query, text] = float(self._inner.score(query, [text])[0])
        return [self._known[query, text] for text in texts]


class _Embedder:
    """Embeds each text once, alone."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self._known: dict[tuple[str, str], Vector] = {}

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> list[Vector]:
        for text in texts:
            if (role, text) not in self._known:
                self._known[role, text] = np.asarray(self._inner.embed([text], role=role)[0], dtype=np.float32)  # type: ignore[assignment]  # an array is a sequence of floats
        return [self._known[role, text] for text in texts]



def _onnx_scorer() -> Scorer:
    from ragthrift.models import OnnxScorer

    scorer = OnnxScorer()
    scorer.score("warm", ["up"])  # a missing file or package must show now, not in the middle of a run
    return scorer


def _onnx_embedder() -> Embedder:
    from ragthrift.models import OnnxEmbedder

    embedder = OnnxEmbedder()
    embedder.embed(["warm up"])
    return embedder
