"""Whole LlamaIndex query engines, with the real int8 MiniLM and without an LLM that would need a key."""

import json

import pytest
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import HierarchicalNodeParser, SentenceSplitter, get_leaf_nodes
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import AutoMergingRetriever
from llama_index.core.schema import Document, MetadataMode
from llama_index.core.storage.docstore import SimpleDocumentStore

from llama_index_ragthrift import (
    LeanPostprocessor,
    RagthriftEmbedding,
    SentenceEmbeddingOptimizer,
    SentenceTransformerRerank,
)
from llama_index_ragthrift.convert import SPANS
from ragthrift.compress import Compressor
from ragthrift.models import OnnxEmbedder, OnnxScorer
from ragthrift.rerank import Reranker
from ragthrift.tokens import Approximate

QUERY = "When was the Eiffel Tower completed?"
DOCUMENTS = {
    "Eiffel Tower": (
        "The Eiffel Tower stands on the Champ de Mars in Paris. The company of Gustave Eiffel designed and built it. "
        "It was completed on 31 March 1889 for the World's Fair. The tower is painted every seven years. "
        "Visitors can climb two of its three levels by stairs. The lifts cover the rest of the way."
    ),
    "Onion soup": (
        "Onion soup needs onions, broth and bread. The onions are cooked slowly in butter. Cheese is melted on top. "
        "The soup is served hot. Some cooks add a little wine. Others prefer it without."
    ),
    "Harbour Bridge": (
        "The Harbour Bridge was opened in 1932. Its arch is made of steel. Trains, cars and walkers cross it. "
        "It is painted all year round. Visitors can climb the arch. The view from there is wide."
    ),
}


def documents():
    return [Document(text=text, metadata={"title": title}, id_=title) for title, text in DOCUMENTS.items()]


class Reading(MockLLM):
    """A model that answers with the prompt it was given."""

    @classmethod
    def class_name(cls):
        return "Reading"


@pytest.fixture(scope="module")
def index():
    splitter = SentenceSplitter(chunk_size=64, chunk_overlap=0)
    return VectorStoreIndex.from_documents(
        documents(), transformations=[splitter], embed_model=RagthriftEmbedding(OnnxEmbedder())
    )


def engine(index, *post, top_k=6):
    return index.as_query_engine(llm=Reading(), similarity_top_k=top_k, node_postprocessors=list(post))


def test_the_index_finds_by_meaning(index):
    (best, *_) = index.as_retriever(similarity_top_k=3).retrieve(QUERY)
    assert best.node.ref_doc_id == "Eiffel Tower"


CHAINS = {
    "compress": lambda: [LeanPostprocessor(Compressor(budget=60))],
    "compress with a model": lambda: [LeanPostprocessor(Compressor(budget=60, embedder=OnnxEmbedder()))],
    "rerank": lambda: [LeanPostprocessor(Reranker(OnnxScorer(), top_n=2))],
    "rerank, then compress": lambda: [
        SentenceTransformerRerank(top_n=3),
        LeanPostprocessor(Compressor(budget=60)),
    ],
    "sentences": lambda: [SentenceEmbeddingOptimizer(OnnxEmbedder(), percentile_cutoff=0.7, context_before=0)],
}


@pytest.mark.parametrize("kind", CHAINS)
async def test_a_query_engine_reads_the_lean_context(index, kind):
    whole = engine(index).query(QUERY)
    lean = engine(index, *CHAINS[kind]())
    now, later = lean.query(QUERY), await lean.aquery(QUERY)
    assert str(now) == str(later)
    assert "31 March 1889" in str(now)
    assert len(str(now)) < len(str(whole))
    assert [item.model_dump() for item in now.source_nodes] == [item.model_dump() for item in later.source_nodes]
    for item in now.source_nodes:
        document = DOCUMENTS[item.node.ref_doc_id]
        assert all(document[a:b] in item.node.text for a, b in item.node.metadata.get(SPANS, []))
        assert document[item.node.start_char_idx : item.node.end_char_idx].startswith(item.node.text[:10])
        assert item.node.get_content(MetadataMode.LLM) in str(now)


def test_the_context_in_the_prompt_keeps_the_budget(index):
    answer = engine(index, LeanPostprocessor(Compressor(budget=60))).query(QUERY)
    read = "\n\n".join(item.node.get_content(MetadataMode.LLM) for item in answer.source_nodes)
    assert read in str(answer)
    assert Approximate().count(read) <= 60
    assert SPANS not in str(answer)


def test_the_index_is_as_it_was(index):
    store = json.dumps(index.docstore.to_dict(), sort_keys=True, default=str)
    for make in CHAINS.values():
        engine(index, *make()).query(QUERY)
    assert json.dumps(index.docstore.to_dict(), sort_keys=True, default=str) == store


async def test_auto_merged_parents():
    parser = HierarchicalNodeParser.from_defaults(chunk_sizes=[128, 40], chunk_overlap=0)
    nodes = parser.get_nodes_from_documents(documents())
    docstore = SimpleDocumentStore()
    docstore.add_documents(nodes)
    storage = StorageContext.from_defaults(docstore=docstore)
    embed_model = RagthriftEmbedding(OnnxEmbedder())
    leaves = VectorStoreIndex(get_leaf_nodes(nodes), storage_context=storage, embed_model=embed_model)
    retriever = AutoMergingRetriever(leaves.as_retriever(similarity_top_k=4), storage)
    found = retriever.retrieve(QUERY)
    assert any(item.node.child_nodes for item in found)
    before = [item.model_dump() for item in found]
    post = LeanPostprocessor(Compressor(budget=40))
    out = post.postprocess_nodes(found, query_str=QUERY)
    assert [item.model_dump() for item in found] == before
    assert any("31 March 1889" in item.node.text for item in out)
    assert all(item.node.relationships == docstore.get_document(item.node_id).relationships for item in out)
    answer = RetrieverQueryEngine.from_args(retriever, llm=Reading(), node_postprocessors=[post])
    assert str(answer.query(QUERY)) == str(await answer.aquery(QUERY))
    both = [*found, *leaves.as_retriever(similarity_top_k=4).retrieve(QUERY)]  # parents and their own children
    kept = LeanPostprocessor(Reranker(OnnxScorer(), top_n=10)).postprocess_nodes(both, query_str=QUERY)
    ids = {item.node_id for item in kept}
    assert not any(item.node.parent_node and item.node.parent_node.node_id in ids for item in kept)


def test_a_model_of_another_make():
    other = VectorStoreIndex.from_documents(documents(), embed_model=MockEmbedding(embed_dim=8))
    answer = engine(other, LeanPostprocessor(Compressor(budget=60)), top_k=3).query(QUERY)
    assert "31 March 1889" in str(answer)
