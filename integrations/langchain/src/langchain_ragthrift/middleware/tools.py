"""Makes what retriever tools return lean before it enters an agent's history, where every later turn pays for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.tools.retriever import RetrieverInput

from langchain_ragthrift._apply import alean, lean
from langchain_ragthrift._chain import Chain, one
from langchain_ragthrift.convert import Convert
from ragthrift.errors import ConfigurationError, MissingExtra, SetupError
from ragthrift.events import emit
from ragthrift.plan import arun, run
from ragthrift.types import Engine

try:
    from langchain.agents.middleware import AgentMiddleware
except ImportError as error:
    raise MissingExtra('the middleware needs langchain: pip install "langchain-ragthrift[middleware]"') from error

if TYPE_CHECKING:
    from langchain.agents.middleware import ToolCallRequest
    from langgraph.types import Command

    Ask = tuple[str, list[Document], Convert]
    Block = str | dict[Any, Any]

log = logging.getLogger(__name__)
PLAIN = Convert(title_key=None, evidence_key=None, score_key=None)
"""For pieces of a text that is already rendered."""


class LeanToolMiddleware(AgentMiddleware[Any, Any, Any]):
    """Makes the messages of retriever tools lean with `engine`, sync and async.

    `tools` names the tools (or gives them); without it, those made by `create_retriever_tool` are meant, and any tool
    whose artifact is a list of documents that its content shows. The engine's question is the last human message and
    the tool call's query together, or one of them, as `question` says; `query_arg` names the argument with the query.

    With `response_format="content_and_artifact"` the engine sees the documents: they are rendered again with
    `convert.document_prompt` and `separator`, which must be the tool's own (the separator is also the engine's
    `joiner`), and the artifact becomes the lean documents or stays (`artifact="original"`). Otherwise it sees the
    message's text, in pieces between separators. Blocks other than text, error messages, and everything else about a
    message stay as they are. `nothing` is the content when the engine abstains. If anything breaks, the message passes
    through unchanged.
    """

    def __init__(
        self,
        engine: Engine | Sequence[Engine],
        *,
        tools: Sequence[str | BaseTool] | None = None,
        convert: Convert | None = None,
        separator: str = "\n\n",
        question: Literal["both", "user", "tool"] = "both",
        query_arg: str = "query",
        artifact: Literal["lean", "original"] = "lean",
        nothing: str = "No relevant passage was found.",
    ) -> None:
        super().__init__()
        if not separator:
            raise ConfigurationError("separator must not be empty: give the text that stands between documents")
        if question not in ("both", "user", "tool"):
            raise ConfigurationError(f"question must be 'both', 'user' or 'tool', got {question!r}")
        if artifact not in ("lean", "original"):
            raise ConfigurationError(f"artifact must be 'lean' or 'original', got {artifact!r}")
        self.engine = one(engine)
        for part in self.engine.engines if isinstance(self.engine, Chain) else (self.engine,):
            if (joiner := getattr(part, "joiner", separator)) != separator:
                raise ConfigurationError(
                    f"the engine counts {joiner!r} between passages, the message has {separator!r}: give both the same"
                )
        self.convert = convert or Convert()
        self.separator = separator
        self.question = question
        self.query_arg = query_arg
        self.artifact = artifact
        self.nothing = nothing
        # `tools` of the base class would register the tools with the agent a second time.
        self.only = None if tools is None else frozenset(t if isinstance(t, str) else t.name for t in tools)

    @property
    def name(self) -> str:
        """The class, and the tools where they are named, so that an agent can hold one middleware per kind of tool."""
        return type(self).__name__ + (f"[{','.join(sorted(self.only))}]" if self.only is not None else "")

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """The tool's message, lean."""
        message = handler(request)
        if not isinstance(message, ToolMessage):
            return message
        try:
            return run(self._plan(request, message), lambda ask: lean(self.engine, *ask))
        except SetupError:
            raise
        except Exception as error:  # noqa: BLE001  # an agent's turn must not break because its tool talked too much
            return _unchanged(message, error)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """The tool's message, lean; the models are awaited."""
        message = await handler(request)
        if not isinstance(message, ToolMessage):
            return message
        try:
            return await arun(self._plan(request, message), lambda ask: alean(self.engine, *ask))
        except SetupError:
            raise
        except Exception as error:  # noqa: BLE001  # an agent's turn must not break because its tool talked too much
            return _unchanged(message, error)

    def _plan(self, request: ToolCallRequest, message: ToolMessage) -> Generator[Ask, list[Document], ToolMessage]:
        query = self._query(request)
        documents = _documents(message)
        if message.status == "error" or not query or not self._meant(request, message, documents):
            return message
        if documents and message.content == self._rendered(documents):
            kept = yield query, documents, self.convert
            artifact = kept if self.artifact == "lean" else message.artifact
            content = self._rendered(kept) if kept else self.nothing
            return message.model_copy(update={"content": content, "artifact": artifact})
        blocks: list[Block] = [message.content] if isinstance(message.content, str) else list(message.content)
        pieces = [
            Document(piece, metadata={"block": index})
            for index, block in enumerate(blocks)
            for piece in _pieces(_text(block) or "", self.separator)
        ]
        if not any(piece.page_content.strip() for piece in pieces):
            return message
        kept = yield query, pieces, PLAIN
        content = self._put_back(blocks, kept)
        return message.model_copy(update={"content": content if isinstance(message.content, list) else content[0]})

    def _meant(self, request: ToolCallRequest, message: ToolMessage, documents: Sequence[Document]) -> bool:
        if self.only is not None:
            return request.tool_call["name"] in self.only
        if getattr(request.tool, "args_schema", None) is RetrieverInput:
            return True
        shown = str(message.text)
        return bool(documents) and all(document.page_content in shown for document in documents)

    def _query(self, request: ToolCallRequest) -> str:
        asked = _argument(request.tool_call["args"], self.query_arg) if self.question != "user" else ""
        user = _last_human(request.state) if self.question != "tool" else ""
        return "\n".join(text for text in (user, "" if asked in user else asked) if text)

    def _rendered(self, documents: Sequence[Document]) -> str:
        return self.separator.join(map(self.convert.render, documents))

    def _put_back(self, blocks: Sequence[Block], kept: Sequence[Document]) -> list[Block]:
        """The blocks with the kept pieces of their text; a block of which nothing is left is left out."""
        texts: dict[int, list[str]] = {}
        for piece in kept:
            texts.setdefault(piece.metadata["block"], []).append(piece.page_content)
        content: list[Block] = []
        for index, block in enumerate(blocks):
            text = self.separator.join(texts.get(index, ()))
            if _text(block) is None:
                content.append(block)
            elif text:
                content.append(text if isinstance(block, str) else {**block, "text": text})
        return content or [self.nothing]


def _documents(message: ToolMessage) -> list[Document]:
    artifact: object = message.artifact
    if not isinstance(artifact, list | tuple):
        return []
    items = cast("Sequence[object]", artifact)
    documents = [item for item in items if isinstance(item, Document)]
    return documents if len(documents) == len(items) else []


def _text(block: Block) -> str | None:
    """The text of a block that may be shortened: annotations point into theirs by offset."""
    if isinstance(block, str):
        return block
    text: object = block.get("text")
    return text if block.get("type") == "text" and isinstance(text, str) and not block.get("annotations") else None


def _pieces(text: str, separator: str) -> list[str]:
    """The pieces between separators; fenced code stays in one piece. Joined again they give the text."""
    pieces: list[str] = []
    fenced = False
    for part in text.split(separator):
        if fenced:
            pieces[-1] += separator + part
        else:
            pieces.append(part)
        fences = sum(line.lstrip().startswith(("```", "~~~")) for line in part.splitlines())
        fenced ^= fences % 2 == 1
    return pieces


def _argument(args: Mapping[str, object], name: str) -> str:
    """The argument called `name`, else the only one that is text."""
    value = args.get(name)
    if isinstance(value, str):
        return value.strip()
    texts = [text for text in args.values() if isinstance(text, str)]
    return texts[0].strip() if len(texts) == 1 else ""


def _last_human(state: object) -> str:
    """The text of the last human message of an agent's state, which may be a mapping, a model, or a list."""
    held = cast("Mapping[str, object]", state).get("messages") if isinstance(state, Mapping) else state
    messages: object = getattr(held, "messages", held)
    if not isinstance(messages, list | tuple):
        return ""
    for message in reversed(cast("Sequence[BaseMessage]", messages)):
        if isinstance(message, HumanMessage):
            return str(message.text).strip()
    return ""


def _unchanged(message: ToolMessage, error: Exception) -> ToolMessage:
    reason = f"{type(error).__name__}: {error}"
    log.warning("a tool message passes through unchanged: %s", reason)
    emit("langchain.fallback", reason=reason)
    return message
