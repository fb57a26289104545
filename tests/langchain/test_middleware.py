import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import create_retriever_tool, tool
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from langchain_ragthrift import Convert, LeanRetriever
from langchain_ragthrift.middleware import LeanToolMiddleware
from ragthrift.compress import Compressor
from ragthrift.errors import ConfigurationError, MissingModel
from ragthrift.events import listen
from ragthrift.models import OnnxScorer
from ragthrift.rerank import Reranker
from ragthrift.tokens import Approximate
from ragthrift.types import Lean

USER = "In which town was the founder of the Blue Mill born?"


class Scripted(GenericFakeChatModel):
    """A chat model whose answers are given; `create_agent` binds tools to it."""

    def bind_tools(self, tools, **kwargs):
        return self


def model(*calls):
    turns = [
        AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call_{n}"}])
        for n, (name, args) in enumerate(calls)
    ]
    return Scripted(messages=iter([*turns, AIMessage("Lisse")]))


def retriever_tool(documents, **settings):
    found = LeanRetriever(retriever=RunnableLambda(lambda _: documents), engine=Reranker(Same(), top_n=None))
    return create_retriever_tool(found, "search", "Searches the notes.", **settings)


class Same:
    """Scores that keep the order."""

    def score(self, query, texts):
        return [-float(place) for place, _ in enumerate(texts)]


async def ran(agent, awaited):
    given = {"messages": [HumanMessage(USER)]}
    return (await agent.ainvoke(given) if awaited else agent.invoke(given))["messages"]


def tool_messages(messages):
    return [message for message in messages if isinstance(message, ToolMessage)]


both = pytest.mark.parametrize("awaited", [False, True])


@both
async def test_a_retriever_tool_enters_the_history_lean(awaited, documents):
    search = retriever_tool(documents)
    plain = await ran(create_agent(model(("search", {"query": "Blue Mill founder"})), [search]), awaited)
    agent = create_agent(
        model(("search", {"query": "Blue Mill founder"})),
        [search],
        middleware=[LeanToolMiddleware(Compressor(budget=45))],
    )
    messages = await ran(agent, awaited)
    assert [m.type for m in messages] == ["human", "ai", "tool", "ai"]
    (full,), (lean,) = tool_messages(plain), tool_messages(messages)
    assert (lean.tool_call_id, lean.name, lean.status, lean.artifact) == ("call_0", "search", "success", None)
    assert "founded by Ada Nore" in lean.content
    assert "Lisse" in lean.content
    assert Approximate().count(lean.content) <= 45 < Approximate().count(full.content)
    assert all(line in full.content for line in lean.content.split("\n\n"))


@both
@pytest.mark.parametrize("artifact", ["lean", "original"])
async def test_documents_of_the_artifact_are_rendered_as_the_tool_does(awaited, artifact, documents):
    prompt = PromptTemplate.from_template("## {title}\n{page_content}")
    for document in documents:
        document.metadata.setdefault("title", "")
    before = copy.deepcopy(documents)
    search = retriever_tool(documents, document_prompt=prompt, response_format="content_and_artifact")
    convert = Convert(document_prompt=prompt)
    lean = LeanToolMiddleware(Compressor(budget=60), convert=convert, artifact=artifact)
    messages = await ran(create_agent(model(("search", {"query": "mill"})), [search], middleware=[lean]), awaited)
    (message,) = tool_messages(messages)
    assert documents == before
    assert Approximate().count(message.content) <= 60
    assert message.content.startswith("## Blue Mill\n")
    assert "## Ada Nore\n" in message.content
    if artifact == "original":
        assert [d.page_content for d in message.artifact] == [d.page_content for d in documents]
    else:
        assert "\n\n".join(map(convert.render, message.artifact)) == message.content
        assert [document.id for document in message.artifact][:2] == ["mill", "nore"]


@both
async def test_other_tools_and_errors_pass_untouched(awaited, documents):
    long = "\n\n".join(document.page_content for document in documents)

    @tool
    def notes(query: str) -> str:
        """Some other tool."""
        return long

    @tool(response_format="content_and_artifact")
    def count(query: str) -> tuple[str, list[Document]]:
        """Tells how many documents there are; they are in the artifact only."""
        return "four documents were found, ask for one of them", documents

    calls = [("notes", {"query": "mill"}), ("count", {"query": "mill"}), ("search", {"wrong": "argument"})]
    agent = create_agent(
        model(*calls), [notes, count, retriever_tool(documents)], middleware=[LeanToolMiddleware(Compressor(budget=5))]
    )
    other, counted, failed = tool_messages(await ran(agent, awaited))
    assert other.content == long
    assert counted.content == "four documents were found, ask for one of them"
    assert failed.status == "error"
    assert "wrong" in failed.content or "query" in failed.content


@both
async def test_named_tools_only(awaited, documents):
    long = "\n\n".join(document.page_content for document in documents)

    @tool
    def notes(question: str) -> str:
        """The query is in the only argument that is text."""
        return long

    lean = LeanToolMiddleware(Compressor(budget=45), tools=[notes], question="tool")
    agent = create_agent(
        model(("notes", {"question": USER}), ("search", {"query": "mill"})),
        [notes, retriever_tool(documents)],
        middleware=[lean, LeanToolMiddleware(Compressor(budget=10), tools=["something"])],
    )
    noted, searched = tool_messages(await ran(agent, awaited))
    assert Approximate().count(noted.content) <= 45
    assert "Lisse" in noted.content
    assert searched.content == long


@both
async def test_blocks_keep_their_place(awaited, documents):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    cited = {"type": "text", "text": "cited " * 50, "annotations": [{"start_index": 0, "end_index": 5}]}
    texts = [{"type": "text", "text": document.page_content, "id": document.id} for document in documents]

    @tool
    def notes(query: str) -> list:
        """Blocks."""
        return [image, *texts, cited]

    lean = LeanToolMiddleware(Compressor(budget=45), tools=["notes"])
    (message,) = tool_messages(
        await ran(create_agent(model(("notes", {"query": "mill"})), [notes], middleware=[lean]), awaited)
    )
    assert message.content[0] == image
    assert message.content[-1] == cited
    kept = message.content[1:-1]
    assert [block["id"] for block in kept][:2] == ["mill", "nore"]
    assert Approximate().count("\n\n".join(block["text"] for block in kept)) <= 45
    assert texts[0]["text"] == documents[0].page_content


@both
async def test_an_engine_that_abstains_says_so(awaited, documents):
    lean = LeanToolMiddleware(Compressor(budget=30, floor=0.999, on_empty="abstain"), nothing="Nothing found.")
    agent = create_agent(model(("search", {"query": "regatta"})), [retriever_tool(documents)], middleware=[lean])
    (message,) = tool_messages(await ran(agent, awaited))
    assert message.content == "Nothing found."


@both
async def test_an_engine_that_breaks_lets_the_message_through(awaited, documents):
    class Wild:
        """Says that it kept a passage that it was never given."""

        def lean(self, query, passages):
            raise KeyError("lost")

        async def alean(self, query, passages):
            raise KeyError("lost")

    search = retriever_tool(documents, response_format="content_and_artifact")
    agent = create_agent(model(("search", {"query": "mill"})), [search], middleware=[LeanToolMiddleware(Wild())])
    events = []
    with listen(events.append):
        (message,) = tool_messages(await ran(agent, awaited))
    assert message.content == "\n\n".join(document.page_content for document in documents)
    assert "langchain.fallback" in [event.name for event in events]


@both
async def test_a_missing_model_is_never_hidden(awaited, documents, tmp_path):
    lean = LeanToolMiddleware(Reranker(OnnxScorer(str(tmp_path))))
    agent = create_agent(model(("search", {"query": "mill"})), [retriever_tool(documents)], middleware=[lean])
    with pytest.raises(MissingModel):
        await ran(agent, awaited)


@both
async def test_commands_pass_untouched(awaited):
    command = Command(update={"messages": []})
    middleware = LeanToolMiddleware(Compressor(budget=5))

    async def handler(request):
        return command

    if awaited:
        assert await middleware.awrap_tool_call(None, handler) is command
    else:
        assert middleware.wrap_tool_call(None, lambda request: command) is command


def test_fenced_code_stays_in_one_piece(documents):
    code = "```python\nfirst = 1\n\nsecond = 2\n```"
    text = "\n\n".join(["Ships were built of oak.", code, "It rained."])

    @tool
    def notes(query: str) -> str:
        """Text with code."""
        return text

    seen = []

    class Keeps:
        def lean(self, query, passages):
            seen.append([passage.text for passage in passages])
            return Reranker(Same(), top_n=None).lean(query, passages)

        async def alean(self, query, passages):
            return self.lean(query, passages)

    lean = LeanToolMiddleware(Keeps(), tools=["notes"], question="user")
    agent = create_agent(model(("notes", {"query": "mill"})), [notes], middleware=[lean])
    (message,) = tool_messages(agent.invoke({"messages": [HumanMessage(USER)]})["messages"])
    assert seen == [["Ships were built of oak.", code, "It rained."]]
    assert message.content == text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"separator": ""}, "separator"),
        ({"separator": "---"}, "give both the same"),
        ({"question": "all"}, "question"),
        ({"artifact": "none"}, "artifact"),
    ],
)
def test_wrong_settings_show_at_construction(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        LeanToolMiddleware(Compressor(budget=5), **settings)


@given(st.text(st.sampled_from("ab \n`~"), max_size=80), st.sampled_from(["\n\n", "\n", "---"]))
def test_pieces_joined_again_give_the_text(text, separator):
    class Keeps:
        def lean(self, query, passages):
            return Lean(tuple(passages), (), 0, 0)

    @tool
    def notes(query: str) -> str:
        """Notes."""
        return text

    message = ToolMessage(text, tool_call_id="1", name="notes")
    call = {"name": "notes", "args": {"query": "q"}, "id": "1"}
    request = ToolCallRequest(tool_call=call, tool=notes, state=[HumanMessage(USER)], runtime=None)
    Keeps.alean = Keeps.lean
    middleware = LeanToolMiddleware(Keeps(), tools=["notes"], separator=separator)
    assert middleware.wrap_tool_call(request, lambda _: message).content == text
