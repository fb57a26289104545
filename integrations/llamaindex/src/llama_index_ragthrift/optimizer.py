"""`SentenceEmbeddingOptimizer` with the parameters of LlamaIndex's, without what that one loses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.settings import Settings

from llama_index_ragthrift._engine import EnginePostprocessor, model_name
from llama_index_ragthrift._sentences import SentenceFilter
from llama_index_ragthrift.convert import passage
from llama_index_ragthrift.embeddings import FromLlamaIndex
from ragthrift.errors import ConfigurationError
from ragthrift.models import Embedder
from ragthrift.types import Engine, Passage


class SentenceEmbeddingOptimizer(EnginePostprocessor):
    """Keeps the sentences of each node that are near the query, with the sentences around them.

    The parameters are those of LlamaIndex's class of this name, and so are the sentences that stay; each stays once,
    in the order of the text, so that a node never grows. All sentences of all nodes are embedded in one batch, the
    metadata is not mixed into the text, and the query is always embedded by `embed_model`. A node none of whose
    sentences passes `threshold_cutoff` is dropped; if no node has one, the nearest sentence of all is kept.
    """

    percentile_cutoff: float | None = Field(description="Share of a node's sentences to keep.")
    threshold_cutoff: float | None = Field(description="Cosine similarity that a sentence must exceed.")
    context_before: int | None = Field(description="Sentences to keep before each one found, None for 1.")
    context_after: int | None = Field(description="Sentences to keep after each one found, None for 1.")
    _embedder: Embedder = PrivateAttr()
    _tokenizer_fn: Callable[[str], Sequence[str]] | None = PrivateAttr()

    def __init__(
        self,
        embed_model: BaseEmbedding | Embedder | None = None,
        percentile_cutoff: float | None = None,
        threshold_cutoff: float | None = None,
        tokenizer_fn: Callable[[str], Sequence[str]] | None = None,
        context_before: int | None = None,
        context_after: int | None = None,
    ) -> None:
        fields: dict[str, Any] = {
            "percentile_cutoff": percentile_cutoff,
            "threshold_cutoff": threshold_cutoff,
            "context_before": context_before,
            "context_after": context_after,
        }
        super().__init__(**fields)
        self._embedder = _embedder(embed_model or Settings.embed_model)
        self._tokenizer_fn = tokenizer_fn
        self._filter()  # a wrong setting shows here, not with the first query

    @classmethod
    def class_name(cls) -> str:
        """The name of the component in dumps."""
        return "SentenceEmbeddingOptimizer"

    def _filter(self, asked: Sequence[str] = ()) -> SentenceFilter:
        return SentenceFilter(
            self._embedder,
            share=self.percentile_cutoff,
            threshold=self.threshold_cutoff,
            before=1 if self.context_before is None else self.context_before,
            after=1 if self.context_after is None else self.context_after,
            split=self._tokenizer_fn,
            asked=tuple(asked),
        )

    def _engine(self, bundle: QueryBundle) -> Engine:
        return self._filter(bundle.embedding_strs)

    def _name(self) -> str:
        return model_name(self._embedder)

    def _passage(self, found: NodeWithScore) -> Passage:
        return passage(found)


def _embedder(model: BaseEmbedding | Embedder) -> Embedder:
    if isinstance(model, BaseEmbedding):
        return FromLlamaIndex(model)
    if not isinstance(model, Embedder):  # pyright: ignore[reportUnnecessaryIsInstance]  # not every caller is type-checked
        raise ConfigurationError(f"embed_model must be a LlamaIndex embedding model or an Embedder, got {model!r}")
    return model
