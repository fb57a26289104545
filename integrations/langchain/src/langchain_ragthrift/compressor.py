"""A document compressor for `ContextualCompressionRetriever`, `DocumentCompressorPipeline` and their like."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field

from langchain_ragthrift._apply import alean, lean
from langchain_ragthrift._chain import Engines
from langchain_ragthrift.convert import Convert


class LeanCompressor(BaseDocumentCompressor):
    """Keeps of the documents what `engine` keeps: a `Compressor`, a `Reranker`, one of your own, or several in a row.

    Ids, metadata and classes stay, the caller's documents too; the engine's own settings say what is kept. An engine
    that breaks lets the documents through unchanged.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", frozen=True)

    # Engines hold live models and perhaps keys: they are part of no dump.
    engine: Engines = Field(exclude=True)
    convert: Convert = Field(default_factory=Convert, exclude=True)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The lean documents for `query`."""
        return lean(self.engine, query, documents, self.convert)

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """`compress_documents`, awaiting the models."""
        return await alean(self.engine, query, documents, self.convert)
