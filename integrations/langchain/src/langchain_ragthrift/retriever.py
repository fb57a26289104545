"""A retriever around another one that returns lean documents."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, RetrieverLike
from pydantic import ConfigDict, Field

from langchain_ragthrift._chain import Engines
from langchain_ragthrift.convert import Convert
from langchain_ragthrift.documents import LeanDocuments


class LeanRetriever(BaseRetriever):
    """Returns what `engine` keeps of the documents that `retriever` finds.

    Anything that maps a query to documents can be wrapped. `k` is how many documents to ask it for, None for as many
    as it gives by itself; ask for more than before, the engine keeps the best. Both steps show in traces.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    retriever: RetrieverLike
    # Engines hold live models and perhaps keys: they are part of no dump.
    engine: Engines = Field(exclude=True)
    convert: Convert = Field(default_factory=Convert, exclude=True)
    k: int | None = Field(default=None, ge=1)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        documents = self.retriever.invoke(query, {"callbacks": run_manager.get_child()}, **self._asked(kwargs))
        return self._lean().invoke({"documents": documents, "query": query}, {"callbacks": run_manager.get_child()})

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        documents = await self.retriever.ainvoke(query, {"callbacks": run_manager.get_child()}, **self._asked(kwargs))
        return await self._lean().ainvoke(
            {"documents": documents, "query": query}, {"callbacks": run_manager.get_child()}
        )

    def _lean(self) -> LeanDocuments:
        return LeanDocuments(engine=self.engine, convert=self.convert)

    def _asked(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return kwargs if self.k is None else {"k": self.k, **kwargs}
