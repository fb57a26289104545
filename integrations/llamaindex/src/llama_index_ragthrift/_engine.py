"""The way of nodes through an engine: read, lean, written back, reported. Sync and async differ in who answers."""

from __future__ import annotations

import logging
from abc import abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import (
    get_dispatcher,  # pyright: ignore[reportPrivateImportUsage]  # its documented home
)
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, TextNode

from llama_index_ragthrift.convert import copied, node_with_score, readable
from llama_index_ragthrift.events import LeanEvent
from ragthrift.errors import ConfigurationError, MissingExtra, MissingModel
from ragthrift.events import emit
from ragthrift.plan import arun, run
from ragthrift.types import Engine, Lean, Passage

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    Plan = Generator["Ask", Lean | Exception, list[NodeWithScore]]

log = logging.getLogger(__name__)
dispatcher = get_dispatcher(__name__)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to make passages lean."""

    engine: Engine
    query: str
    passages: tuple[Passage, ...]


class EnginePostprocessor(BaseNodePostprocessor):
    """A postprocessor whose work an engine does.

    Nodes without text that carry something else, such as an image, are not shown to the engine and always kept: in
    their place where the engine keeps the order, after the others where it changes it. An engine that raises lets the
    nodes through as they were. What is returned are copies.
    """

    @abstractmethod
    def _engine(self, bundle: QueryBundle) -> Engine:
        """The engine for one query."""

    @abstractmethod
    def _name(self) -> str:
        """What events call the engine or its model."""

    @abstractmethod
    def _passage(self, found: NodeWithScore) -> Passage:
        """The node as the engine gets to see it."""

    def _restored(self, found: NodeWithScore, kept: Passage) -> NodeWithScore:
        """The node as it comes out of the engine."""
        return node_with_score(found, kept)

    def _unasked(self, found: list[NodeWithScore]) -> list[NodeWithScore]:
        """What becomes of nodes when there is no query: relevance has no meaning, so all stay."""
        return [_untouched(item) for item in found]

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return run(self._plan(nodes, query_bundle), _answer)

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return await arun(self._plan(nodes, query_bundle), _aanswer)

    def _plan(self, nodes: Sequence[NodeWithScore | BaseNode | str], bundle: QueryBundle | None) -> Plan:
        found = [_found(node) for node in nodes]
        if bundle is None:
            return self._unasked(found)
        if not found:
            return []
        engine = self._engine(bundle)
        top_n: int = getattr(engine, "top_n", None) or len(found)
        dispatcher.event(ReRankStartEvent(query=bundle, nodes=found, top_n=top_n, model_name=self._name()))
        payload: dict[str, Any] = {
            EventPayload.NODES: found,
            EventPayload.MODEL_NAME: self._name(),
            EventPayload.QUERY_STR: bundle.query_str,
            EventPayload.TOP_K: top_n,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            out, report = yield from self._leaned(engine, bundle, found)
            event.on_end(payload={EventPayload.NODES: out})
        dispatcher.event(ReRankEndEvent(nodes=out))
        dispatcher.event(report)
        return out

    def _leaned(
        self, engine: Engine, bundle: QueryBundle, found: list[NodeWithScore]
    ) -> Generator[Ask, Lean | Exception, tuple[list[NodeWithScore], LeanEvent]]:
        """The lean nodes and what to report of them; the nodes as they were when anything went wrong."""
        try:
            places = [place for place, item in enumerate(found) if readable(item.node)]
            reply = yield Ask(engine, bundle.query_str, tuple(self._passage(found[place]) for place in places))
            if isinstance(reply, Exception):
                raise reply
            out = self._written(found, places, reply)
        except (ConfigurationError, MissingExtra, MissingModel):
            raise
        except Exception as error:  # noqa: BLE001  # a broken engine must not break the request
            why = f"{type(error).__name__}: {error}"
            emit("llama_index.fallback", engine=self._name(), reason=why)
            log.warning("%s failed, the nodes go through as they were: %s", self._name(), why)
            return [_untouched(item) for item in found], LeanEvent(
                engine=self._name(), kept=[item.node_id for item in found], fallbacks=[why]
            )
        for why in reply.receipt.fallbacks:
            log.warning("%s did without: %s", self._name(), why)
        return out, LeanEvent.of(self._name(), reply)

    def _written(self, found: list[NodeWithScore], places: list[int], lean: Lean) -> list[NodeWithScore]:
        """The kept nodes in the engine's order, the nodes that it never saw put back among them."""
        for kept in lean.kept:
            if not 0 <= kept.index < len(places):
                raise ValueError(f"the engine returned a passage with index {kept.index!r} of {len(places)} passages")
        out = [(places[kept.index], self._restored(found[places[kept.index]], kept)) for kept in lean.kept]
        steady = all(before <= after for (before, _), (after, _) in pairwise(out))
        unseen = set(range(len(found))).difference(places)
        out += [(place, _untouched(found[place])) for place in sorted(unseen)]
        if steady:
            out.sort(key=lambda item: item[0])
        return [item for _, item in out]


def model_name(model: object) -> str:
    """What a model, or an engine that asks one, calls its model, else its class."""
    named = getattr(model, "models", None) or getattr(model, "model", None)
    inner = getattr(model, "scorer", None) or getattr(model, "embedder", None)
    if named or inner is None:
        return str(named or type(model).__name__)
    return model_name(inner)


def _answer(ask: Ask) -> Lean | Exception:
    try:
        return ask.engine.lean(ask.query, ask.passages)
    except Exception as error:  # noqa: BLE001  # the plan decides what to do about it
        return error


async def _aanswer(ask: Ask) -> Lean | Exception:
    try:
        return await ask.engine.alean(ask.query, ask.passages)
    except Exception as error:  # noqa: BLE001  # the plan decides what to do about it
        return error


def _found(node: NodeWithScore | BaseNode | str) -> NodeWithScore:
    """The node with its score; plain text and nodes without a score are welcome too."""
    if isinstance(node, NodeWithScore):
        return node
    return NodeWithScore(node=TextNode(text=node) if isinstance(node, str) else node)


def _untouched(found: NodeWithScore) -> NodeWithScore:
    return found.model_copy(update={"node": copied(found.node)})
