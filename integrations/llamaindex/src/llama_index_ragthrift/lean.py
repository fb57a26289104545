"""Any engine as a LlamaIndex node postprocessor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, field_serializer
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index_ragthrift._engine import EnginePostprocessor, model_name
from llama_index_ragthrift.convert import TITLE_KEYS, passage
from ragthrift.errors import ConfigurationError
from ragthrift.types import Engine, Passage


class LeanPostprocessor(EnginePostprocessor):
    """Makes the retrieved nodes lean with `engine`, a `Compressor`, a `Reranker` or one of your own.

    A compressor keeps the retriever's scores, a reranker sets its own. `title_keys` are the metadata keys in which to
    look for a node's title; the first one present wins. Without a query the nodes pass through.

    `to_dict` writes a description of the engine in its place, so `from_dict` must be given the engine again:
    `LeanPostprocessor.from_dict(data, engine=Compressor(budget=0.25))`.
    """

    engine: Engine = Field(description="What makes the nodes lean.")
    title_keys: tuple[str, ...] = Field(description="Metadata keys that hold a title, the first one present wins.")

    def __init__(
        self,
        engine: Engine,
        title_keys: Sequence[str] = TITLE_KEYS,
        callback_manager: CallbackManager | None = None,
        **fields: Any,
    ) -> None:
        if not isinstance(engine, Engine):  # pyright: ignore[reportUnnecessaryIsInstance]  # not every caller is type-checked
            raise ConfigurationError(
                f"engine must have lean(query, passages) and alean(query, passages), got {engine!r}: pass a "
                f"Compressor or a Reranker, to from_dict as from_dict(data, engine=...)"
            )
        if isinstance(title_keys, str):
            raise ConfigurationError(f"title_keys must be a list of metadata keys, got the string {title_keys!r}")
        fields |= {"engine": engine, "title_keys": tuple(title_keys)}
        super().__init__(callback_manager=callback_manager or CallbackManager(), **fields)

    @classmethod
    def class_name(cls) -> str:
        """The name of the component in dumps."""
        return "LeanPostprocessor"

    @field_serializer("engine")
    def _described(self, engine: Engine) -> str:
        return repr(engine)

    def _engine(self, bundle: QueryBundle) -> Engine:
        return self.engine

    def _name(self) -> str:
        return model_name(self.engine)

    def _passage(self, found: NodeWithScore) -> Passage:
        return passage(found, title_keys=self.title_keys)
