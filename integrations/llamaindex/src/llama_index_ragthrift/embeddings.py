"""Embedding models both ways: an embedder of ragthrift as a LlamaIndex model, and a LlamaIndex model as an embedder."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, field_serializer

from llama_index_ragthrift._engine import model_name
from ragthrift.errors import ConfigurationError
from ragthrift.models import Embedder, OnnxEmbedder, Role, aembed


class RagthriftEmbedding(BaseEmbedding):
    """The vectors of `embedder`, by default MiniLM on ONNX Runtime, for an index, a retriever or a pipeline.

    `to_dict` writes a description of the embedder in its place, so caches keyed by it tell models apart; `from_dict`
    must be given the embedder again: `RagthriftEmbedding.from_dict(data, embedder=OnnxEmbedder())`.
    """

    embedder: Embedder = Field(description="What turns texts into vectors.")

    def __init__(self, embedder: Embedder | None = None, **fields: Any) -> None:
        embedder = OnnxEmbedder() if embedder is None else embedder
        if not isinstance(embedder, Embedder):  # pyright: ignore[reportUnnecessaryIsInstance]  # not every caller is type-checked
            raise ConfigurationError(
                f"embedder must have embed(texts, role=...), got {embedder!r}: pass one such as OnnxEmbedder(), to "
                f"from_dict as from_dict(data, embedder=...)"
            )
        named: dict[str, Any] = {"embedder": embedder, "model_name": model_name(embedder), **fields}
        super().__init__(**named)

    @classmethod
    def class_name(cls) -> str:
        """The name of the component in dumps."""
        return "RagthriftEmbedding"

    @field_serializer("embedder")
    def _described(self, embedder: Embedder) -> str:
        return repr(embedder)

    def _get_query_embedding(self, query: str) -> list[float]:
        return list(self.embedder.embed([query], role="query")[0])

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return list((await aembed(self.embedder, [query], role="query"))[0])

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [list(vector) for vector in self.embedder.embed(texts)]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [list(vector) for vector in await aembed(self.embedder, texts)]


@dataclass(frozen=True, slots=True)
class FromLlamaIndex:
    """The vectors of a LlamaIndex embedding model, at unit length, for an engine.

    Its own batching, cache, rate limit and events apply. A text to which the model gives a vector of zeros keeps it.
    """

    embedding: BaseEmbedding

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.embedding.model_name

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> list[list[float]]:
        """A vector for each text."""
        if role == "query":
            return [_unit(self.embedding.get_query_embedding(text)) for text in texts]
        return [_unit(vector) for vector in self.embedding.get_text_embedding_batch(list(texts))]

    async def aembed(self, texts: Sequence[str], *, role: Role = "passage") -> list[list[float]]:
        """A vector for each text."""
        if role == "query":
            vectors = await asyncio.gather(*(self.embedding.aget_query_embedding(text) for text in texts))
        else:
            vectors = await self.embedding.aget_text_embedding_batch(list(texts))
        return [_unit(vector) for vector in vectors]


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(math.fsum(float(x) * float(x) for x in vector))
    return [float(x) / length for x in vector] if length else [float(x) for x in vector]
