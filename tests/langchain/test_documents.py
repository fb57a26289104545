import copy

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.load import dumpd, dumps, load
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel, RunnablePassthrough
from pydantic import ValidationError

from langchain_ragthrift import Convert, LeanCompressor, LeanDocuments, LeanRetriever
from ragthrift.compress import Compressor
from ragthrift.errors import ConfigurationError
from ragthrift.models import CohereScorer, OnnxScorer
from ragthrift.rerank import Reranker
from ragthrift.tokens import Approximate

SECRET = "not-for-any-eye"


class Runs(BaseCallbackHandler):
    def __init__(self):
        self.names = []
        self.parents = {}

    def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, name=None, **kwargs):
        self.names.append(name)
        self.parents[name] = parent_run_id

    def on_retriever_start(self, serialized, query, *, run_id, parent_run_id=None, name=None, **kwargs):
        self.names.append(name)
        self.parents[name] = parent_run_id


async def test_sync_async_and_batch_agree(documents, query):
    lean = LeanDocuments(top_n=3, budget=40, scorer=OnnxScorer())
    inputs = [
        {"documents": documents, "query": query},
        {"documents": documents[::-1], "query": "What is oak?"},
        {"documents": [], "query": query},
    ]
    before = copy.deepcopy(inputs)
    single = [lean.invoke(one) for one in inputs]
    assert single[0][0].id == "mill"
    assert single[2] == []
    assert lean.batch(inputs) == single
    assert await lean.abatch(inputs) == single
    assert [await lean.ainvoke(one) for one in inputs] == single
    assert inputs == before


def test_settings_are_those_of_the_engines(documents, query):
    given = {"documents": documents, "query": query}
    scorer = OnnxScorer()
    expected = LeanCompressor(engine=[Reranker(scorer, top_n=2), Compressor(budget=30, scorer=scorer)])
    kept = LeanDocuments(top_n=2, budget=30, scorer=scorer).invoke(given)
    assert kept == expected.compress_documents(documents, query)
    assert LeanDocuments(engine=expected.engine).invoke(given) == kept


def test_a_call_can_change_the_settings(documents, query):
    lean = LeanDocuments(budget=0.9).configurable_fields(
        budget=ConfigurableField(id="context_budget"), top_n=ConfigurableField(id="top_n")
    )
    given = {"documents": documents, "query": query}
    tight = lean.invoke(given, {"configurable": {"context_budget": 20}})
    assert 0 < Approximate().count("\n\n".join(d.page_content for d in tight)) <= 20
    assert len(lean.invoke(given, {"configurable": {"top_n": 1, "context_budget": None}})) == 1
    assert len(lean.invoke(given)) == len(documents)


async def test_a_chain_streams_through(documents, query):
    found = RunnableLambda(lambda _: documents)
    text = RunnableLambda(lambda kept: "\n".join(document.page_content for document in kept))
    chain = RunnableParallel(documents=found, query=RunnablePassthrough()) | LeanDocuments(budget=40) | text
    whole = chain.invoke(query)
    assert "Lisse" in whole
    assert "".join(chain.stream(query)) == whole
    assert "".join([part async for part in chain.astream(query)]) == whole


async def test_runs_show_nested_in_traces(documents, query):
    handler = Runs()
    chain = RunnableParallel(
        documents=RunnableLambda(lambda _: documents), query=RunnablePassthrough()
    ) | LeanDocuments(budget=40).with_config(run_name="lean context", tags=["lean"])
    chain.invoke(query, {"callbacks": [handler]})
    assert handler.parents["lean context"] is not None
    handler = Runs()
    await chain.ainvoke(query, {"callbacks": [handler]})
    assert handler.parents["lean context"] is not None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give top_n, budget or max_loss"),
        ({"budget": 0}, "budget must be"),
        ({"budget": 1.5}, "share above 0"),
        ({"budget": True}, "budget"),
        ({"top_n": 0}, "top_n must be a whole number"),
        ({"budget": 10, "floor": 2.0}, "floor"),
        ({"budget": 10, "engine": Compressor(budget=5)}, "not both"),
        ({"engine": []}, "at least one"),
        ({"engine": "compressor"}, "Engine"),
        ({"budget": 10, "budgett": 1}, "budgett"),
    ],
)
def test_a_wrong_setting_shows_at_construction(settings, message):
    with pytest.raises((ValidationError, ConfigurationError), match=message):
        LeanDocuments(**settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "input must be"),
        ("question", "input must be"),
        ({"documents": []}, "input must be"),
        ({"documents": None, "query": "q"}, "documents must be a list"),
        ({"documents": "text", "query": "q"}, "documents must be a list"),
        ({"documents": ["text"], "query": "q"}, r"documents\[0\] must be a Document, got 'text'"),
        ({"documents": [Document("x")], "query": None}, "query must be text, got None"),
    ],
)
async def test_wrong_input_gives_one_clear_error(given, message):
    lean = LeanDocuments(budget=10)
    with pytest.raises(ConfigurationError, match=message):
        lean.invoke(given)
    with pytest.raises(ConfigurationError, match=message):
        await lean.ainvoke(given)


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_settings_that_are_data_survive_the_manifest(documents, query):
    lean = LeanDocuments(top_n=2, budget=30, order="edges")
    manifest = dumpd(lean)
    assert manifest["type"] == "constructor"
    loaded = load(manifest, allowed_objects=[LeanDocuments], valid_namespaces=["langchain_ragthrift"])
    given = {"documents": documents, "query": query}
    assert loaded.invoke(given) == lean.invoke(given)
    assert LeanDocuments(**lean.model_dump()).invoke(given) == lean.invoke(given)


def test_live_objects_are_in_no_manifest_dump_or_repr():
    scorer = CohereScorer(api_key=SECRET)
    parts = [
        LeanDocuments(top_n=2, scorer=scorer),
        LeanCompressor(engine=Reranker(scorer)),
        LeanRetriever(
            retriever=RunnableLambda(lambda _: []), engine=[Reranker(scorer), Compressor(budget=9, scorer=scorer)]
        ),
    ]
    for part in parts:
        assert SECRET not in repr(part) + str(part) + repr(part.model_dump())
        if not isinstance(part, LeanCompressor):
            assert dumpd(part)["type"] == "not_implemented"
        assert SECRET not in dumps(part)


def test_schemas_describe_input_and_output():
    lean = LeanDocuments(budget=10, convert=Convert(title_key="name"))
    assert lean.get_input_jsonschema()["$defs"]["LeanInput"]["required"] == ["documents", "query"]
    assert lean.get_output_jsonschema()["type"] == "array"
