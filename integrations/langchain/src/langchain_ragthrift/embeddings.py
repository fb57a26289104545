"""Models of ragthrift for LangChain, and models of LangChain for ragthrift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_core.cross_encoders import BaseCrossEncoder
from langchain_core.embeddings import Embeddings

from ragthrift.models import Embedder, OnnxEmbedder, OnnxScorer, Role, Scorer, aembed


@dataclass(frozen=True)
class RagthriftEmbeddings(Embeddings):
    """LangChain embeddings from any embedder of ragthrift; by default MiniLM on ONNX Runtime."""

    embedder: Embedder = field(default_factory=OnnxEmbedder)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A unit vector for each text."""
        return [list(vector) for vector in self.embedder.embed(texts)]

    def embed_query(self, text: str) -> list[float]:
        """The unit vector of a query."""
        return list(self.embedder.embed([text], role="query")[0])

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents`, awaited."""
        return [list(vector) for vector in await aembed(self.embedder, texts)]

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, awaited."""
        return list((await aembed(self.embedder, [text], role="query"))[0])


@dataclass(frozen=True)
class RagthriftCrossEncoder(BaseCrossEncoder):
    """A LangChain cross-encoder from any scorer of ragthrift; by default MiniLM on ONNX Runtime."""

    scorer: Scorer = field(default_factory=OnnxScorer)

    def score(self, text_pairs: list[tuple[str, str]]) -> list[float]:
        """The score of each pair of a query and a text; pairs with one query are scored in one call."""
        texts: dict[str, list[str]] = {}
        for query, text in text_pairs:
            texts.setdefault(query, []).append(text)
        scores = {query: iter(self.scorer.score(query, own)) for query, own in texts.items()}
        return [float(next(scores[query])) for query, _ in text_pairs]


@dataclass(frozen=True, slots=True)
class FromLangChain:
    """An embedder of ragthrift from any LangChain embeddings; vectors are brought to unit length."""

    embeddings: Embeddings

    def embed(self, texts: Sequence[str], *, role: Role = "passage") -> list[list[float]]:
        """A unit vector for each text."""
        if not texts:
            return []
        if role == "query":
            return [_unit(self.embeddings.embed_query(text)) for text in texts]
        return [_unit(vector) for vector in self.embeddings.embed_documents(list(texts))]

    async def aembed(self, texts: Sequence[str], *, role: Role = "passage") -> list[list[float]]:
        """`embed`, awaited."""
        if not texts:
            return []
        if role == "query":
            return [_unit(await self.embeddings.aembed_query(text)) for text in texts]
        return [_unit(vector) for vector in await self.embeddings.aembed_documents(list(texts))]


@dataclass(frozen=True, slots=True)
class FromCrossEncoder:
    """A scorer of ragthrift from any LangChain cross-encoder."""

    model: BaseCrossEncoder

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The score of each text."""
        # Implementations hand out lists or arrays; an empty batch makes some of them raise.
        return [float(score) for score in self.model.score([(query, text) for text in texts])] if texts else []


def _unit(vector: Sequence[float]) -> list[float]:
    """The vector at length 1; one without direction gets the first axis, so that every text has a vector."""
    numbers = [float(x) for x in vector]
    length = math.sqrt(sum(x * x for x in numbers))
    return [x / length for x in numbers] if length else [1.0, *numbers[1:]]
