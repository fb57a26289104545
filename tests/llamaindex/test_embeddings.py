import json

import numpy as np
import pytest
from llama_index.core import MockEmbedding
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.schema import TextNode

from llama_index_ragthrift import FromLlamaIndex, RagthriftEmbedding
from ragthrift.compress import Compressor
from ragthrift.errors import ConfigurationError
from ragthrift.models import Embedder, OnnxEmbedder
from ragthrift.testing import HashEmbedder, check_embedder
from ragthrift.types import Passage

TEXTS = ["The tower was completed in 1889.", "Onion soup", ""]


async def test_the_vectors_are_those_of_the_embedder():
    minilm = OnnxEmbedder()
    model = RagthriftEmbedding()
    assert isinstance(model, BaseEmbedding)
    assert model.model_name == "all-MiniLM-L6-v2-int8"
    expected = minilm.embed(TEXTS)
    assert model.get_text_embedding_batch(TEXTS) == expected
    assert await model.aget_text_embedding_batch(TEXTS) == expected
    assert model.get_text_embedding(TEXTS[0]) == await model.aget_text_embedding(TEXTS[0]) == expected[0]
    assert model.get_agg_embedding_from_queries(TEXTS[:1]) == expected[0]


async def test_queries_and_passages_are_told_apart():
    bge = OnnxEmbedder("bge-small-en-v1.5-int8")
    model = RagthriftEmbedding(bge)
    (asked,) = bge.embed(["towers"], role="query")
    assert model.get_query_embedding("towers") == await model.aget_query_embedding("towers") == asked
    assert model.get_text_embedding("towers") == bge.embed(["towers"])[0] != asked


async def test_an_async_embedder_is_awaited():
    class Awaited:
        def embed(self, texts, *, role="passage"):
            raise AssertionError("the sync method was called")

        async def aembed(self, texts, *, role="passage"):
            return np.eye(4, dtype=np.float32)[: len(texts)]

    model = RagthriftEmbedding(Awaited())
    assert await model.aget_text_embedding_batch(["a", "b"]) == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert await model.aget_query_embedding("a") == [1, 0, 0, 0]


def test_nodes_in_a_pipeline():
    (node,) = RagthriftEmbedding(HashEmbedder())([TextNode(text="tower")])
    assert node.embedding == list(HashEmbedder().embed(["tower"])[0])


def test_dumps_tell_models_apart():
    small = RagthriftEmbedding(HashEmbedder(64), embed_batch_size=3)
    large = RagthriftEmbedding(HashEmbedder(128), embed_batch_size=3)
    assert small.to_dict()["embedder"] == "HashEmbedder(dimensions=64)"
    node = TextNode(text="x", id_="x")
    assert get_transformation_hash([node], small) != get_transformation_hash([node], large)
    data = json.loads(large.to_json())
    again = RagthriftEmbedding.from_dict(data, embedder=HashEmbedder(128))
    assert again.to_dict() == large.to_dict()
    assert again.embed_batch_size == 3
    with pytest.raises(ConfigurationError, match="embedder must have embed"):
        RagthriftEmbedding.from_dict(data)


def test_a_llama_index_model_is_an_embedder():
    embedder = FromLlamaIndex(RagthriftEmbedding(OnnxEmbedder()))
    assert isinstance(embedder, Embedder)
    assert embedder.model == "all-MiniLM-L6-v2-int8"
    check_embedder(lambda: embedder)


async def test_there_and_back():
    minilm = OnnxEmbedder()
    back = FromLlamaIndex(RagthriftEmbedding(minilm))
    assert np.allclose(back.embed(TEXTS), minilm.embed(TEXTS))
    assert np.allclose(await back.aembed(TEXTS, role="query"), minilm.embed(TEXTS, role="query"))


def test_a_vector_of_zeros_stays():
    class Zeros(MockEmbedding):
        def _get_vector(self):
            return [0.0] * 3

    assert FromLlamaIndex(Zeros(embed_dim=3)).embed(["x"]) == [[0.0, 0.0, 0.0]]


def test_an_engine_uses_the_model_of_the_app():
    text = "The tower stands in Paris. It was completed in 1889. " + "Soup is served. " * 30
    engine = Compressor(budget=20, embedder=FromLlamaIndex(RagthriftEmbedding(OnnxEmbedder())))
    lean = engine.lean("When was it completed?", [Passage(text)])
    assert "completed in 1889" in lean.kept[0].text
    assert lean.receipt.fallbacks == ()
