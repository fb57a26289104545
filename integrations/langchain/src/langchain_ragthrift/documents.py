"""A Runnable that makes documents lean, with settings that a call's config can change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self, cast

from langchain_core.documents import Document
from langchain_core.load.serializable import SerializedConstructor, SerializedNotImplemented
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, Field, StrictFloat, StrictInt, model_validator
from typing_extensions import TypedDict

from langchain_ragthrift._apply import alean, lean
from langchain_ragthrift._chain import Engines, one
from langchain_ragthrift.convert import Convert
from ragthrift.compress import Compressor
from ragthrift.errors import ConfigurationError
from ragthrift.models import Embedder, Lexical, Scorer
from ragthrift.rerank import Reranker
from ragthrift.tokens import Approximate, TokenCounter
from ragthrift.types import Engine


class LeanInput(TypedDict):
    """Retrieved documents and the question that they are to answer."""

    documents: Sequence[Document]
    query: str


class LeanDocuments(RunnableSerializable[LeanInput, list[Document]]):
    """Turns `{"documents": ..., "query": ...}` into the lean documents.

    `top_n` reranks whole documents, `budget` or `max_loss` then selects the evidence in them, as `Reranker` and
    `Compressor` describe; `scorer` serves both, and without one words decide. `floor` and `on_empty` are those of the
    first of the two. Each setting can be a configurable field. An `engine` of your own, or several in a row, takes
    the place of all these settings.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    top_n: StrictInt | None = None
    budget: StrictInt | StrictFloat | None = None
    max_loss: StrictFloat | None = None
    floor: float = 0.0
    order: Literal["source", "edges", "score"] = "source"
    on_empty: Literal["keep_top1", "pass_through", "abstain"] = "keep_top1"
    joiner: str = "\n\n"
    timeout_s: float | None = 30.0
    shadow: bool = False
    # Live objects, which may hold keys, are part of no dump.
    scorer: Scorer | None = Field(default=None, exclude=True)
    embedder: Embedder | None = Field(default=None, exclude=True)
    counter: TokenCounter = Field(default_factory=Approximate, exclude=True)
    engine: Engines | None = Field(default=None, exclude=True)
    convert: Convert = Field(default_factory=Convert, exclude=True)

    @model_validator(mode="after")
    def _build_once(self) -> Self:
        self._engine()  # a wrong setting shows at start-up, not in the first request
        return self

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """True: settings are data. `to_json` declines for one that holds a live object."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where `load` finds the class, given `valid_namespaces=["langchain_ragthrift"]`."""
        return ["langchain_ragthrift"]

    def to_json(self) -> SerializedConstructor | SerializedNotImplemented:
        """The manifest of the settings, where they are data and nothing else."""
        if any(field.exclude and name in self.model_fields_set for name, field in type(self).model_fields.items()):
            return self.to_json_not_implemented()
        return super().to_json()

    def invoke(self, input: LeanInput, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """The lean documents of `input`."""
        return self._call_with_config(self._lean, input, config, **kwargs)

    async def ainvoke(self, input: LeanInput, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """`invoke`, awaiting the models."""
        return await self._acall_with_config(self._alean, input, config, **kwargs)

    def _lean(self, input: LeanInput) -> list[Document]:
        _check(input)
        return lean(self._engine(), input["query"], input["documents"], self.convert)

    async def _alean(self, input: LeanInput) -> list[Document]:
        _check(input)
        return await alean(self._engine(), input["query"], input["documents"], self.convert)

    def _engine(self) -> Engine:
        if self.engine is not None:
            if extra := sorted(self.model_fields_set - {"engine", "convert", "name"}):
                raise ConfigurationError(f"give engine or {extra}, not both: an engine brings its own settings")
            return one(self.engine)
        engines: list[Engine] = []
        if self.top_n is not None:
            engines.append(self._reranker(self.top_n))
        if self.budget is not None or self.max_loss is not None:
            engines.append(self._compressor(first=not engines))
        if not engines:
            raise ConfigurationError("give top_n, budget or max_loss, or an engine: else there is nothing to do")
        return one(engines)

    def _reranker(self, top_n: int) -> Reranker:
        return Reranker(
            self.scorer or Lexical(),
            top_n=top_n,
            floor=self.floor,
            on_empty=self.on_empty,
            counter=self.counter,
            joiner=self.joiner,
            timeout_s=self.timeout_s,
            shadow=self.shadow,
        )

    def _compressor(self, *, first: bool) -> Compressor:
        return Compressor(
            budget=self.budget,
            max_loss=self.max_loss,
            scorer=self.scorer,
            embedder=self.embedder,
            counter=self.counter,
            joiner=self.joiner,
            order=self.order,
            floor=self.floor if first else 0.0,
            on_empty=self.on_empty if first else "keep_top1",
            timeout_s=self.timeout_s,
            shadow=self.shadow,
        )


def _check(given: LeanInput) -> None:
    keys = cast("object", given)
    if not isinstance(keys, dict) or not {"documents", "query"} <= cast("dict[str, Any]", keys).keys():
        raise ConfigurationError(f"input must be {{'documents': [...], 'query': '...'}}, got {given!r:.200}")
