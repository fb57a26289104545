"""Replacements with the constructor parameters of LangChain's own parts: change the import line, keep the rest.

What they add over the originals: ids stay, scores stand in the metadata, the caller's documents are never changed,
async is native, and a list never comes back empty by surprise.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Literal, Self

from langchain_core.callbacks import Callbacks
from langchain_core.cross_encoders import BaseCrossEncoder
from langchain_core.documents import BaseDocumentCompressor, BaseDocumentTransformer, Document
from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict, Field, model_validator

from langchain_ragthrift._apply import alean, lean
from langchain_ragthrift._similar import Distinct, Nearest, Similarity, cosine
from langchain_ragthrift.convert import Convert, checked, copied
from langchain_ragthrift.embeddings import FromCrossEncoder
from ragthrift.errors import ConfigurationError
from ragthrift.models import Calibrated, OnnxScorer, Scorer
from ragthrift.rerank import Reranker
from ragthrift.types import Engine

OnEmpty = Literal["keep_top1", "pass_through", "abstain"]
TEXT_ONLY = Convert(title_key=None)
"""The originals score the text alone, without a title."""
UNMARKED = Convert(title_key=None, evidence_key=None, score_key=None)
"""A filter that gives no scores leaves the metadata as they are."""


class _Replacement(BaseDocumentCompressor):
    """A compressor that builds its engine from the fields of the original."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    on_empty: OnEmpty = "keep_top1"
    convert: Convert = Field(default=TEXT_ONLY, exclude=True)

    @model_validator(mode="after")
    def _build_once(self) -> Self:
        self._engine()  # a wrong setting shows at start-up, not in the first request
        return self

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The documents kept, best first."""
        return lean(self._engine(), query, documents, self._convert())

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """`compress_documents`, awaiting the models."""
        return await alean(self._engine(), query, documents, self._convert())

    @abstractmethod
    def _engine(self) -> Engine: ...

    def _convert(self) -> Convert:
        return self.convert


class EmbeddingsFilter(_Replacement):
    """Keeps the `k` documents most similar to the query, of those above `similarity_threshold`.

    Replaces `langchain_classic`'s. When nothing passes the threshold, `on_empty` says what happens: the best document
    is kept (`keep_top1`), all are (`pass_through`), or none (`abstain`, as the original does).
    """

    embeddings: Embeddings = Field(exclude=True)
    similarity_fn: Similarity = Field(default=cosine, exclude=True)
    k: int | None = 20
    similarity_threshold: float | None = None

    def _engine(self) -> Engine:
        if self.k is None and self.similarity_threshold is None:
            raise ConfigurationError("give k or similarity_threshold, both are None")
        if self.k is not None and self.k < 1:
            raise ConfigurationError(f"k must be at least 1, or None, got {self.k!r}")
        return Nearest(self.embeddings, self.similarity_fn, self.k, self.similarity_threshold, self.on_empty)


class CrossEncoderReranker(_Replacement):
    """Keeps the `top_n` documents that the cross-encoder `model` scores highest, best first.

    Replaces `langchain_classic`'s. A model that raises, or takes longer than `timeout_s`, leaves the retriever's order.
    """

    model: BaseCrossEncoder = Field(exclude=True)
    top_n: int = 3
    timeout_s: float | None = None

    def _engine(self) -> Engine:
        return _whole(FromCrossEncoder(self.model), self.top_n, on_empty=self.on_empty, timeout_s=self.timeout_s)


class FlashrankRerank(_Replacement):
    """Keeps the `top_n` documents that are most likely relevant, of those that reach `score_threshold`, best first.

    Replaces `langchain_community`'s and needs no flashrank: without a `client`, the cross-encoder that ragthrift uses
    scores, or the catalogue name or folder given as `model`. A `client`, flashrank's `Ranker`, is used as it is.
    `prefix_metadata` stands before the metadata keys `relevance_score` and `id`, the place in the list given; without
    a prefix that place is not written, for a document's id is its own.
    """

    client: Any = Field(default=None, exclude=True, repr=False)
    top_n: int = 3
    score_threshold: float = 0.0
    model: str | None = None
    prefix_metadata: str = ""
    timeout_s: float | None = None

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The documents kept, best first."""
        return super().compress_documents(self._numbered(documents), query, callbacks)

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """`compress_documents`, awaiting the model."""
        return await super().acompress_documents(self._numbered(documents), query, callbacks)

    def _engine(self) -> Engine:
        return _whole(
            FromFlashrank(self.client) if self.client is not None else self._own(),
            self.top_n,
            floor=self.score_threshold,
            on_empty=self.on_empty,
            timeout_s=self.timeout_s,
        )

    def _own(self) -> Scorer:
        model = _FLASHRANK.get(self.model or "", self.model or OnnxScorer().model)
        if model is None:
            raise ConfigurationError(
                f"model {self.model!r} is flashrank's own: use 'ms-marco-MiniLM-L-12-v2', a folder with model.onnx and "
                f"tokenizer.json, or client=flashrank.Ranker({self.model!r})"
            )
        return Calibrated(OnnxScorer(model, max_tokens=512))

    def _convert(self) -> Convert:
        return replace(self.convert, score_key=f"{self.prefix_metadata}relevance_score")

    def _numbered(self, documents: Sequence[Document]) -> Sequence[Document]:
        if not self.prefix_metadata:
            return documents
        return [
            copied(document, metadata={f"{self.prefix_metadata}id": index, **document.metadata})
            for index, document in enumerate(checked(documents))
        ]


class EmbeddingsRedundantFilter(BaseDocumentTransformer, BaseModel):
    """Drops documents that repeat an earlier one: more similar than `similarity_threshold`, and the same facts.

    Replaces `langchain_community`'s, which keeps the later of two duplicates and takes two texts for one whose numbers
    differ.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    embeddings: Embeddings = Field(exclude=True)
    similarity_fn: Similarity = Field(default=cosine, exclude=True)
    similarity_threshold: float = 0.95
    convert: Convert = Field(default=UNMARKED, exclude=True)

    def transform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Sequence[Document]:
        """The distinct documents in their order."""
        return lean(self._engine(), "", documents, self.convert)

    async def atransform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Sequence[Document]:
        """`transform_documents`, awaiting the embeddings."""
        return await alean(self._engine(), "", documents, self.convert)

    def _engine(self) -> Engine:
        return Distinct(self.embeddings, self.similarity_fn, self.similarity_threshold)


class LongContextReorder(BaseDocumentTransformer, BaseModel):
    """Puts the best documents at both ends, the best of all first; documents come best first.

    Replaces `langchain_community`'s, which puts the best document last when their number is even. An order that
    changes with each question costs the provider's prompt cache: use it only where a reader needs it.
    """

    def transform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Sequence[Document]:
        """The documents, the least relevant ones in the middle."""
        given = [copied(document) for document in checked(documents)]
        return [*given[::2], *given[1::2][::-1]]

    async def atransform_documents(self, documents: Sequence[Document], **kwargs: Any) -> Sequence[Document]:
        """`transform_documents`; there is nothing to wait for."""
        return self.transform_documents(documents)


@dataclass(frozen=True, slots=True)
class FromFlashrank:
    """A scorer of ragthrift from a flashrank `Ranker`."""

    client: Any

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The score of each text; a listwise ranker gives none, its ranks stand in."""
        passages = [{"id": index, "text": text} for index, text in enumerate(texts)]
        if not passages:
            return []
        rows = self.client.rerank(SimpleNamespace(query=query, passages=passages))
        scores = {int(row["id"]): float(row.get("score", 1 - rank / len(rows))) for rank, row in enumerate(rows)}
        return [scores[index] for index in range(len(texts))]


# flashrank's names; None where the catalogue has no such model.
_FLASHRANK: dict[str, str | None] = {
    "ms-marco-MiniLM-L-12-v2": "ms-marco-MiniLM-L-12-v2-int8",
    "ms-marco-TinyBERT-L-2-v2": None,
    "ms-marco-MultiBERT-L-12": None,
    "rank-T5-flan": None,
    "ce-esci-MiniLM-L12-v2": None,
    "rank_zephyr_7b_v1_full": None,
    "miniReranker_arabic_v1": None,
}


def _whole(scorer: Scorer, top_n: int, *, floor: float = 0.0, on_empty: OnEmpty, timeout_s: float | None) -> Reranker:
    """A reranker that does what the originals do: order and cut, keeping documents with equal texts."""
    return Reranker(scorer, top_n=top_n, floor=floor, duplicates="keep", on_empty=on_empty, timeout_s=timeout_s)
