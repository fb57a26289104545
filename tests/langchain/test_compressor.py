import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_classic.retrievers.document_compressors import DocumentCompressorPipeline
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

from langchain_ragthrift import Chain, LeanCompressor
from langchain_ragthrift.dropin import EmbeddingsRedundantFilter, LongContextReorder
from langchain_ragthrift.embeddings import RagthriftEmbeddings
from ragthrift.compress import Compressor
from ragthrift.events import listen
from ragthrift.models import Lexical, OnnxScorer
from ragthrift.rerank import Reranker
from ragthrift.testing import FixedScorer, HashEmbedder
from ragthrift.tokens import Approximate, render

RERANK = Reranker(OnnxScorer(), top_n=3)
COMPRESS = Compressor(budget=40)


@pytest.mark.parametrize("engine", [RERANK, COMPRESS, [RERANK, COMPRESS], Compressor(budget=40, scorer=OnnxScorer())])
async def test_async_equals_sync(engine, documents, query):
    compressor = LeanCompressor(engine=engine)
    sync = compressor.compress_documents(documents, query)
    assert sync
    assert await compressor.acompress_documents(documents, query) == sync


def test_a_chain_reranks_then_compresses(documents, query):
    kept = LeanCompressor(engine=[RERANK, COMPRESS]).compress_documents(documents[::-1], query)
    assert kept[0].id == "mill"
    assert any("Lisse" in document.page_content for document in kept)
    assert kept[0].metadata["ragthrift"]["engine"] == "Reranker+Compressor"
    assert Approximate().count("\n\n".join(d.page_content for d in kept)) <= 40


def test_a_chain_equals_the_parts_in_a_pipeline(documents, query):
    chain = LeanCompressor(engine=[RERANK, COMPRESS]).compress_documents(documents, query)
    parts = [LeanCompressor(engine=RERANK), LeanCompressor(engine=COMPRESS)]
    assert DocumentCompressorPipeline(transformers=parts).compress_documents(documents, query) == chain


def test_a_chain_tells_all_in_terms_of_the_first_passages(documents, query):
    passages = LeanCompressor(engine=RERANK).convert.passages(documents)
    lean = Chain((Compressor(budget=60), Compressor(budget=30))).lean(query, passages)
    assert lean.tokens_before == Approximate().count(render(passages))
    assert lean.tokens_after == Approximate().count(render(lean.kept)) <= 30
    for passage in lean.kept:
        text = passages[passage.index].text
        assert passage.text.split() == " ".join(text[s.start : s.end] for s in passage.spans).split()
    kept = {(d.index, d.span) for d in lean.receipt.decisions if d.kept}
    for index, span in kept:
        assert passages[index].text[span.start : span.end].strip()
    assert {p.index for p in lean.kept} == {index for index, _ in kept}
    assert len(lean.receipt.decisions) > len(documents)


async def test_inside_a_contextual_compression_retriever(documents, query):
    found = RunnableLambda(lambda _: documents)
    retriever = ContextualCompressionRetriever(base_compressor=LeanCompressor(engine=COMPRESS), base_retriever=found)
    kept = retriever.invoke(query)
    assert [d.id for d in kept][:2] == ["mill", "nore"]
    assert await retriever.ainvoke(query) == kept


async def test_inside_a_pipeline_with_the_other_parts(documents, query):
    pipeline = DocumentCompressorPipeline(
        transformers=[
            EmbeddingsRedundantFilter(embeddings=RagthriftEmbeddings(HashEmbedder())),
            LeanCompressor(engine=Reranker(Lexical(), top_n=3)),
            LongContextReorder(),
            LeanCompressor(engine=COMPRESS),
        ]
    )
    kept = pipeline.compress_documents([*documents, documents[0]], query)
    assert {"mill", "nore"} <= {document.id for document in kept}
    assert await pipeline.acompress_documents([*documents, documents[0]], query) == kept


def test_shadow_mode_leaves_the_documents_as_they_were(documents, query):
    engine = Compressor(budget=20, shadow=True)
    kept = LeanCompressor(engine=engine).compress_documents(documents, query)
    assert kept == documents
    assert kept[0] is not documents[0]


def test_an_engine_of_your_own_that_breaks_lets_the_documents_through(documents, query):
    class Broken:
        def lean(self, query, passages):
            raise RuntimeError("out of order")

        async def alean(self, query, passages):
            raise RuntimeError("out of order")

    events = []
    with listen(events.append):
        assert LeanCompressor(engine=Broken()).compress_documents(documents, query) == documents
    assert [(e.name, e.fields["reason"]) for e in events] == [("langchain.fallback", "RuntimeError: out of order")]


words = st.text(st.sampled_from("ab. \n|1Ä語🙂"), max_size=60)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(words, max_size=6), words, st.integers(1, 40))
def test_never_over_budget_never_touching_the_input(texts, query, budget):
    documents = [Document(text, id=str(index)) for index, text in enumerate(texts)]
    before = copy.deepcopy(documents)
    kept = LeanCompressor(engine=Compressor(budget=budget)).compress_documents(documents, query)
    assert documents == before
    assert Approximate().count("\n\n".join(d.page_content for d in kept)) <= budget
    for document in kept:
        given = texts[int(document.id)]
        pieces = [given[start:end] for start, end in document.metadata["ragthrift"]["spans"]]
        assert document.page_content.split() == " ".join(pieces).split()


def test_scores_of_a_reranker_stand_in_the_metadata():
    documents = [Document("a"), Document("b")]
    kept = LeanCompressor(engine=Reranker(FixedScorer([-3.0, 2.0]))).compress_documents(documents, "q")
    assert [(d.page_content, d.metadata["relevance_score"]) for d in kept] == [("b", 2.0), ("a", -3.0)]
