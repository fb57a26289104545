import copy
import subprocess
import sys

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests

from langchain_ragthrift import LeanRetriever, RagthriftEmbeddings
from ragthrift.compress import Compressor
from ragthrift.models import OnnxScorer
from ragthrift.rerank import Reranker

TOWNS = ["Tarn has two bridges.", "Lisse is a harbour town.", "Oak is a hard wood.", "Bees make honey.", "Rain fell."]


def store(documents):
    held = InMemoryVectorStore(RagthriftEmbeddings())
    held.add_documents(documents)
    return held


class TestLeanRetriever(RetrieversIntegrationTests):
    """The standard tests, over a real vector store with a real embedder and cross-encoder."""

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return LeanRetriever

    @property
    def retriever_constructor_params(self):
        held = store([Document(text) for text in TOWNS])
        return {"retriever": held.as_retriever(), "engine": Reranker(OnnxScorer(), top_n=4)}

    @property
    def retriever_query_example(self):
        return "Which town has a harbour?"


async def test_sync_async_and_batch_agree(documents, query):
    retriever = LeanRetriever(
        retriever=store(documents).as_retriever(), engine=[Reranker(OnnxScorer(), top_n=3), Compressor(budget=40)], k=4
    )
    kept = retriever.invoke(query)
    assert any("Lisse" in document.page_content for document in kept)
    assert await retriever.ainvoke(query) == kept
    assert retriever.batch([query, query]) == [kept, kept]
    assert await retriever.abatch([query]) == [kept]


def test_the_store_keeps_its_documents(documents, query):
    held = store(documents)
    before = copy.deepcopy(held.store)
    LeanRetriever(retriever=held.as_retriever(), engine=Compressor(budget=20)).invoke(query)
    assert held.store == before


@pytest.mark.parametrize("awaited", [False, True])
async def test_both_steps_are_children_of_the_run(awaited, documents, query):
    seen = []

    class Runs(BaseCallbackHandler):
        def on_retriever_start(self, serialized, query, *, run_id, parent_run_id=None, name=None, **kwargs):
            seen.append((name, parent_run_id, run_id))

        def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, name=None, **kwargs):
            seen.append((name, parent_run_id, run_id))

    retriever = LeanRetriever(retriever=store(documents).as_retriever(), engine=Compressor(budget=20))
    config = {"callbacks": [Runs()]}
    _ = await retriever.ainvoke(query, config) if awaited else retriever.invoke(query, config)
    (outer, none, run), *inner = seen
    assert (outer, none) == ("LeanRetriever", None)
    assert [(name, parent) for name, parent, _ in inner] == [("VectorStoreRetriever", run), ("LeanDocuments", run)]


def test_any_runnable_can_be_wrapped(documents, query):
    retriever = LeanRetriever(retriever=RunnableLambda(lambda _: documents), engine=Compressor(budget=40))
    assert [document.id for document in retriever.invoke(query)][:2] == ["mill", "nore"]


def test_nothing_found_is_nothing_kept():
    retriever = LeanRetriever(retriever=RunnableLambda(lambda _: []), engine=Compressor(budget=40))
    assert retriever.invoke("q") == []


def test_errors_of_the_retriever_are_the_users_to_see():
    def fail(_):
        raise ConnectionError("the store is down")

    retriever = LeanRetriever(retriever=RunnableLambda(fail), engine=Compressor(budget=40))
    with pytest.raises(ConnectionError, match="the store is down"):
        retriever.invoke("q")


def test_the_package_needs_nothing_but_langchain_core():
    code = (
        "import sys, langchain_ragthrift, langchain_ragthrift.dropin\n"
        "heavy = {'langchain', 'langchain_classic', 'langchain_community', 'langgraph', 'torch', 'onnxruntime'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
