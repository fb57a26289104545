"""Old part and new part on the same input: what the old one loses, and that the new one keeps it."""

import copy
import json
import logging

import pytest
from flashrank import Ranker
from langchain_classic.retrievers.document_compressors import CrossEncoderReranker as OldCrossEncoderReranker
from langchain_classic.retrievers.document_compressors import DocumentCompressorPipeline
from langchain_classic.retrievers.document_compressors import EmbeddingsFilter as OldEmbeddingsFilter
from langchain_community.document_compressors import FlashrankRerank as OldFlashrankRerank
from langchain_community.document_transformers import EmbeddingsRedundantFilter as OldRedundantFilter
from langchain_community.document_transformers import LongContextReorder as OldReorder
from langchain_core.documents import Document

from langchain_ragthrift import RagthriftCrossEncoder, RagthriftEmbeddings
from langchain_ragthrift.dropin import (
    CrossEncoderReranker,
    EmbeddingsFilter,
    EmbeddingsRedundantFilter,
    FlashrankRerank,
    LongContextReorder,
)
from ragthrift.models import CachedEmbedder, OnnxEmbedder, locate

EMBEDDINGS = RagthriftEmbeddings(CachedEmbedder(OnnxEmbedder()))
MODEL = RagthriftCrossEncoder()
QUERY = "Which town has a harbour?"


@pytest.fixture
def towns():
    return [
        Document("Tarn is a village with two bridges.", id="tarn", metadata={"source": "a"}),
        Document("Lisse is a harbour town.", id="lisse", metadata={"source": "b"}),
        Document("Oak is a hard wood.", id="oak", metadata={"source": "c"}),
        Document("The old port of Brell still has a working harbour.", id="brell", metadata={"source": "d"}),
    ]


async def test_embeddings_filter(towns):
    before = copy.deepcopy(towns)
    settings = {"embeddings": EMBEDDINGS, "k": 2}
    old = OldEmbeddingsFilter(**settings).compress_documents(towns, QUERY)
    new = EmbeddingsFilter(**settings).compress_documents(towns, QUERY)
    assert [d.page_content for d in old] == [d.page_content for d in new]
    assert [d.id for d in old] == [None, None]
    assert [d.id for d in new] == ["lisse", "brell"]
    assert [set(d.metadata) for d in old] == [{"source"}, {"source"}]
    assert [d.metadata["relevance_score"] for d in new] == pytest.approx(
        [d.state["query_similarity_score"] for d in old], abs=1e-5
    )
    assert type(old[0]).__name__ == "_DocumentWithState"
    assert type(new[0]) is Document
    assert await EmbeddingsFilter(**settings).acompress_documents(towns, QUERY) == new
    assert towns == before


@pytest.mark.parametrize(
    ("on_empty", "ids"),
    [("keep_top1", ["lisse"]), ("pass_through", ["tarn", "lisse", "oak", "brell"]), ("abstain", [])],
)
def test_embeddings_filter_when_nothing_passes(towns, on_empty, ids):
    settings = {"embeddings": EMBEDDINGS, "similarity_threshold": 0.99}
    assert OldEmbeddingsFilter(**settings).compress_documents(towns, QUERY) == []
    assert [d.id for d in EmbeddingsFilter(**settings, on_empty=on_empty).compress_documents(towns, QUERY)] == ids
    assert EmbeddingsFilter(**settings).compress_documents(towns, QUERY)[0].id == "lisse"


def test_embeddings_filter_takes_a_similarity_of_your_own(towns):
    def dot(left, right):
        return [[sum(a * b for a, b in zip(x, y, strict=True)) for y in right] for x in left]

    settings = {"embeddings": EMBEDDINGS, "k": None, "similarity_threshold": 0.3}
    new = EmbeddingsFilter(**settings, similarity_fn=dot).compress_documents(towns, QUERY)
    assert [d.id for d in new] == [d.id for d in EmbeddingsFilter(**settings).compress_documents(towns, QUERY)]
    assert [d.page_content for d in new] == [
        d.page_content for d in OldEmbeddingsFilter(**settings).compress_documents(towns, QUERY)
    ]


async def test_redundant_filter_keeps_the_earlier_one_and_its_id():
    documents = [
        Document("Oak is a hard wood.", id="first", metadata={"page": 1}),
        Document("Bees make honey.", id="bees"),
        Document("Oak is a hard wood!", id="second", metadata={"page": 9}),
    ]
    before = copy.deepcopy(documents)
    old = OldRedundantFilter(embeddings=EMBEDDINGS).transform_documents(documents)
    new = EmbeddingsRedundantFilter(embeddings=EMBEDDINGS).transform_documents(documents)
    assert [(d.id, d.metadata) for d in old] == [(None, {}), (None, {"page": 9})]
    assert [(d.id, d.metadata) for d in new] == [("first", {"page": 1}), ("bees", {})]
    assert await EmbeddingsRedundantFilter(embeddings=EMBEDDINGS).atransform_documents(documents) == new
    assert documents == before


@pytest.mark.parametrize(
    "texts",
    [
        ("The mill earned 12 million crowns in 2023.", "The mill earned 15 million crowns in 2024."),
        ("The bridge is open to carts.", "The bridge is not open to carts."),
        ("The mill was sold to Ada Nore in spring.", "The mill was sold to Eda Nore in spring."),
    ],
)
def test_redundant_filter_keeps_facts_that_only_look_alike(texts):
    documents = [Document(text) for text in texts]
    settings = {"embeddings": EMBEDDINGS, "similarity_threshold": 0.8}
    assert len(OldRedundantFilter(**settings).transform_documents(documents)) == 1
    assert EmbeddingsRedundantFilter(**settings).transform_documents(documents) == documents


async def test_cross_encoder_reranker(towns):
    before = copy.deepcopy(towns)
    settings = {"model": MODEL, "top_n": 2}
    old = OldCrossEncoderReranker(**settings).compress_documents(towns, QUERY)
    new = CrossEncoderReranker(**settings).compress_documents(towns, QUERY)
    assert [d.id for d in old] == [d.id for d in new] == ["lisse", "brell"]
    assert [d.metadata for d in old] == [{"source": "b"}, {"source": "d"}]
    scores = MODEL.score([(QUERY, d.page_content) for d in new])
    assert [d.metadata["relevance_score"] for d in new] == scores
    assert old[0] is towns[1]  # the caller's own object, open to changes further down
    assert new[0] is not towns[1]
    assert await CrossEncoderReranker(**settings).acompress_documents(towns, QUERY) == new
    assert towns == before


def test_cross_encoder_reranker_when_the_model_is_down(towns):
    class Down(RagthriftCrossEncoder):
        def score(self, text_pairs):
            raise ConnectionError("no route")

    with pytest.raises(ConnectionError):
        OldCrossEncoderReranker(model=Down(), top_n=2).compress_documents(towns, QUERY)
    kept = CrossEncoderReranker(model=Down(), top_n=2).compress_documents(towns, QUERY)
    assert [d.id for d in kept] == ["tarn", "lisse"]


@pytest.fixture
def ranker(tmp_path):
    """flashrank itself, on the files of the same cross-encoder under the names that it expects."""
    home = tmp_path / "ms-marco-MiniLM-L-12-v2"
    home.mkdir()
    model = locate("ms-marco-MiniLM-L-12-v2-int8")
    (home / "flashrank-MiniLM-L-12-v2_Q.onnx").symlink_to(model / "model.onnx")
    (home / "tokenizer.json").symlink_to(model / "tokenizer.json")
    (home / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    (home / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512, "pad_token": "[PAD]"}))
    (home / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Ranker(model_name=home.name, cache_dir=str(tmp_path))
    root.handlers[:], root.level = handlers, level  # it configures the root logger


def old_flashrank(**settings):
    # A postponed annotation names a class of a package that is optional there.
    OldFlashrankRerank.model_rebuild(_types_namespace={"Ranker": Ranker})
    return OldFlashrankRerank(**settings)


async def test_flashrank_rerank(towns, ranker):
    before = copy.deepcopy(towns)
    settings = {"client": ranker, "top_n": 2}
    old = old_flashrank(**settings).compress_documents(towns, QUERY)
    new = FlashrankRerank(**settings).compress_documents(towns, QUERY)
    assert [d.page_content for d in old] == [d.page_content for d in new]
    assert [d.id for d in old] == [None, None]
    assert [d.id for d in new] == ["lisse", "brell"]
    assert [d.metadata["id"] for d in old] == [1, 3]
    assert all("id" not in document.metadata for document in new)
    assert [d.metadata["relevance_score"] for d in new] == pytest.approx(
        [float(d.metadata["relevance_score"]) for d in old]
    )
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(old[0].metadata)
    json.dumps(new[0].metadata)
    assert await FlashrankRerank(**settings).acompress_documents(towns, QUERY) == new
    assert towns == before


def test_flashrank_rerank_with_its_threshold_and_prefix(towns, ranker):
    settings = {"client": ranker, "top_n": 4, "score_threshold": 0.999999, "prefix_metadata": "rank_"}
    assert old_flashrank(**settings).compress_documents(towns, QUERY) == []
    (kept,) = FlashrankRerank(**settings).compress_documents(towns, QUERY)
    assert (kept.id, kept.metadata["rank_id"], kept.metadata["source"]) == ("lisse", 1, "b")
    assert 0 < kept.metadata["rank_relevance_score"] < 1
    assert FlashrankRerank(**settings, on_empty="abstain").compress_documents(towns, QUERY) == []


def test_flashrank_rerank_without_flashrank(towns, ranker):
    own = FlashrankRerank(top_n=2, model="ms-marco-MiniLM-L-12-v2").compress_documents(towns, QUERY)
    assert own == FlashrankRerank(top_n=2).compress_documents(towns, QUERY)
    assert [d.id for d in own] == ["lisse", "brell"]
    assert all(0 <= d.metadata["relevance_score"] <= 1 for d in own)


@pytest.mark.parametrize("count", range(6))
async def test_long_context_reorder(count):
    documents = [Document(str(place), id=str(place)) for place in range(count)]
    before = copy.deepcopy(documents)
    old = [d.id for d in OldReorder().transform_documents(documents)]
    new = [d.id for d in LongContextReorder().transform_documents(documents)]
    assert sorted(new) == sorted(old)
    if count >= 2:
        ends = {new[0], new[-1]}
        assert ends == {old[0], old[-1]} == {"0", "1"}
        assert new[0] == "0"
        assert old[0] == ("0" if count % 2 else "1")  # the best one changes ends with the number of documents
    assert [d.id for d in await LongContextReorder().atransform_documents(documents)] == new
    assert documents == before


async def test_the_whole_pipeline_by_import_line_only(towns):
    documents = [*towns, Document("Lisse is a harbour town!", id="again")]

    def pipeline(redundant, relevant, reranked, reordered):
        return DocumentCompressorPipeline(
            transformers=[
                redundant(embeddings=EMBEDDINGS),
                relevant(embeddings=EMBEDDINGS, k=3),
                reranked(model=MODEL, top_n=2),
                reordered(),
            ]
        )

    old = pipeline(OldRedundantFilter, OldEmbeddingsFilter, OldCrossEncoderReranker, OldReorder)
    new = pipeline(EmbeddingsRedundantFilter, EmbeddingsFilter, CrossEncoderReranker, LongContextReorder)
    assert [(d.id, "relevance_score" in d.metadata) for d in old.compress_documents(documents, QUERY)] == [
        (None, False),
        (None, False),
    ]
    kept = new.compress_documents(documents, QUERY)
    assert [d.id for d in kept] == ["lisse", "brell"]
    assert [d.metadata["relevance_score"] for d in kept] == MODEL.score([(QUERY, d.page_content) for d in kept])
    assert await new.acompress_documents(documents, QUERY) == kept
