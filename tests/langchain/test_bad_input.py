import threading

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from pydantic import ValidationError

from langchain_ragthrift import LeanCompressor, LeanRetriever
from langchain_ragthrift.dropin import (
    CrossEncoderReranker,
    EmbeddingsFilter,
    EmbeddingsRedundantFilter,
    FlashrankRerank,
)
from langchain_ragthrift.embeddings import RagthriftEmbeddings
from ragthrift.compress import Compressor
from ragthrift.errors import ConfigurationError, MissingModel
from ragthrift.events import listen
from ragthrift.models import OnnxScorer
from ragthrift.rerank import Reranker
from ragthrift.testing import FixedScorer, HashEmbedder
from ragthrift.tokens import Approximate
from ragthrift.types import Lean, Passage

ENGINES = [Compressor(budget=30), Reranker(FixedScorer([0.5])), [Reranker(FixedScorer([0.5])), Compressor(budget=30)]]


@pytest.mark.parametrize("engine", ENGINES)
async def test_nothing_in_nothing_out(engine):
    compressor = LeanCompressor(engine=engine)
    assert compressor.compress_documents([], "q") == []
    assert await compressor.acompress_documents([], "q") == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("query", ["", "   ", "\x00", "\ud800", "q" * 100_000])
async def test_odd_queries_lose_no_answer(engine, query, documents):
    compressor = LeanCompressor(engine=engine)
    kept = compressor.compress_documents(documents, query)
    assert kept
    assert await compressor.acompress_documents(documents, query) == kept


@pytest.mark.parametrize("engine", ENGINES)
def test_empty_documents_do_no_harm(engine, documents, query):
    kept = LeanCompressor(engine=engine).compress_documents([Document(""), *documents, Document(" \n ")], query)
    assert any(document.page_content.strip() for document in kept)


@pytest.mark.parametrize("query", [None, 7, ["q"]])
async def test_a_query_that_is_no_text_is_named(query, documents):
    compressor = LeanCompressor(engine=Compressor(budget=30))
    with pytest.raises(ConfigurationError, match="query must be text"):
        compressor.compress_documents(documents, query)
    with pytest.raises(ConfigurationError, match="query must be text"):
        await compressor.acompress_documents(documents, query)


def test_five_megabytes_fit_the_budget():
    sentence = "The committee met again and said nothing of note about the weather. "
    text = sentence * 36_000 + "The password of the vault is heliotrope. " + sentence * 38_000
    assert len(text) > 5_000_000
    (kept,) = LeanCompressor(engine=Compressor(budget=100, timeout_s=None)).compress_documents(
        [Document(text, id="big")], "What is the password of the vault?"
    )
    assert Approximate().count(kept.page_content) <= 100
    assert kept.id == "big"
    assert "heliotrope" in kept.page_content


class Hangs:
    def __init__(self):
        self.done = threading.Event()

    def score(self, query, texts):
        self.done.wait(60)
        return [0.0] * len(texts)


@pytest.mark.parametrize("awaited", [False, True])
async def test_a_scorer_that_hangs_is_left_behind(awaited, documents, query):
    scorer = Hangs()
    compressor = LeanCompressor(engine=Reranker(scorer, timeout_s=0.05))
    events = []
    with listen(events.append):
        if awaited:
            kept = await compressor.acompress_documents(documents, query)
        else:
            kept = compressor.compress_documents(documents, query)
    scorer.done.set()
    assert [d.page_content for d in kept] == [d.page_content for d in documents]
    assert all("relevance_score" not in document.metadata for document in kept)
    assert "rerank.fallback" in [event.name for event in events]


class Raises:
    def score(self, query, texts):
        raise ZeroDivisionError("no")


@pytest.mark.parametrize("engine", [Reranker(Raises()), Compressor(budget=60, scorer=Raises())])
def test_a_scorer_that_raises_is_done_without(engine, documents, query):
    kept = LeanCompressor(engine=engine).compress_documents(documents, query)
    assert any("Lisse" in document.page_content for document in kept)


def test_scores_that_are_no_numbers_leave_the_order(documents, query):
    kept = LeanCompressor(engine=Reranker(FixedScorer([float("nan")] * 4))).compress_documents(documents, query)
    assert [d.id for d in kept] == [d.id for d in documents]


def test_a_missing_model_is_never_hidden(documents, query, monkeypatch, tmp_path):
    monkeypatch.setenv("RAGTHRIFT_MODELS", str(tmp_path))
    retriever = LeanRetriever(
        retriever=RunnableLambda(lambda _: documents), engine=Reranker(OnnxScorer(str(tmp_path / "nowhere")))
    )
    with pytest.raises(MissingModel, match="nowhere"):
        retriever.invoke(query)


def test_nothing_relevant_and_the_user_asked_to_be_told(documents):
    engine = Compressor(budget=30, floor=0.99, on_empty="abstain")
    assert LeanCompressor(engine=engine).compress_documents(documents, "Who won the oak regatta of Tarn?") == []


@pytest.mark.parametrize(
    ("part", "settings", "message"),
    [
        (EmbeddingsFilter, {"k": None}, "both are None"),
        (EmbeddingsFilter, {"k": 0}, "k must be at least 1"),
        (EmbeddingsFilter, {"on_empty": "shrug"}, "on_empty"),
        (CrossEncoderReranker, {}, "model"),
        (FlashrankRerank, {"top_n": 0}, "top_n"),
        (FlashrankRerank, {"score_threshold": 3.0}, "floor"),
        (FlashrankRerank, {"model": "ms-marco-TinyBERT-L-2-v2"}, "flashrank's own"),
    ],
)
def test_wrong_settings_of_replacements_show_at_construction(part, settings, message):
    if part is EmbeddingsFilter:
        settings = {"embeddings": RagthriftEmbeddings(HashEmbedder()), **settings}
    with pytest.raises(ValidationError, match=message):
        part(**settings)


class Down(RagthriftEmbeddings):
    def embed_documents(self, texts):
        raise ConnectionError("no route")

    async def aembed_documents(self, texts):
        raise ConnectionError("no route")


async def test_embeddings_that_are_down_let_the_documents_through(documents, query):
    asked = EmbeddingsFilter(embeddings=Down(), k=1)
    assert asked.compress_documents(documents, query) == documents
    assert await asked.acompress_documents(documents, query) == documents
    assert EmbeddingsRedundantFilter(embeddings=Down()).transform_documents(documents) == documents


class Forgets:
    """An engine of a user's own that makes passages anew and so loses their place."""

    def lean(self, query, passages):
        return Lean((Passage("made up"),), (), 0, 0)

    async def alean(self, query, passages):
        return self.lean(query, passages)


def test_an_engine_that_loses_the_place_of_passages_is_told_so(documents, query):
    with pytest.raises(ConfigurationError, match="Forgets lost the index of a passage: -1"):
        LeanCompressor(engine=Forgets()).compress_documents(documents, query)


@pytest.mark.parametrize("part", [LeanCompressor, LeanRetriever])
def test_no_engine_at_all_shows_at_construction(part):
    settings = {"retriever": RunnableLambda(lambda _: [])} if part is LeanRetriever else {}
    with pytest.raises(ValidationError, match="at least one"):
        part(engine=[], **settings)


def test_similarities_that_are_no_numbers_rank_last(documents, query):
    broken = EmbeddingsFilter(
        embeddings=RagthriftEmbeddings(HashEmbedder()),
        k=4,
        similarity_fn=lambda left, right: [[float("nan"), 0.5, float("nan"), 0.9]],
    )
    kept = broken.compress_documents(documents, query)
    assert [d.metadata.get("relevance_score") for d in kept] == [0.9, 0.5, None, None]
