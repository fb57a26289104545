import math

import numpy as np
import pytest
from langchain_core.cross_encoders import BaseCrossEncoder
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from langchain_ragthrift import FromCrossEncoder, FromLangChain, RagthriftCrossEncoder, RagthriftEmbeddings
from ragthrift.models import CachedEmbedder, Lexical, OnnxEmbedder, OnnxScorer
from ragthrift.testing import check_embedder, check_scorer


class TestUnit(EmbeddingsUnitTests):
    """The standard tests of a class of embeddings."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return RagthriftEmbeddings


class TestIntegration(EmbeddingsIntegrationTests):
    """The standard tests on the real model."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return RagthriftEmbeddings

    @property
    def embedding_model_params(self):
        return {"embedder": CachedEmbedder(OnnxEmbedder())}


class Clumsy(Embeddings):
    """Vectors that are not of unit length, as arrays, and some without direction."""

    def embed_documents(self, texts):
        return [np.array([3.0, 4.0]) if text.strip() else np.zeros(2) for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


@pytest.mark.parametrize("embeddings", [DeterministicFakeEmbedding(size=32), Clumsy(), RagthriftEmbeddings()])
def test_langchain_embeddings_are_a_core_embedder(embeddings):
    check_embedder(lambda: FromLangChain(embeddings))


async def test_there_and_back_gives_the_same_vectors():
    own = OnnxEmbedder()
    back = FromLangChain(RagthriftEmbeddings(own))
    texts = ["Oak is a hard wood.", "Ships were once built of it."]
    for role in ("query", "passage"):
        for one, other in zip(own.embed(texts, role=role), back.embed(texts, role=role), strict=True):
            assert math.dist(one, other) < 1e-6
        assert await back.aembed(texts, role=role) == back.embed(texts, role=role)


class Arrays(BaseCrossEncoder):
    """A cross-encoder that hands out an array and cannot take an empty batch."""

    def score(self, text_pairs):
        assert text_pairs
        return np.array([float(len(text)) for _, text in text_pairs])


@pytest.mark.parametrize("model", [Arrays(), RagthriftCrossEncoder(OnnxScorer())])
def test_a_langchain_cross_encoder_is_a_core_scorer(model):
    check_scorer(lambda: FromCrossEncoder(model))


def test_a_core_scorer_is_a_langchain_cross_encoder():
    pairs = [("oak", "oak wood"), ("bee", "a bee"), ("oak", "rain")]
    scores = RagthriftCrossEncoder(Lexical()).score(pairs)
    assert scores[0] > scores[2] == 0
    assert scores[1] > 0
    assert RagthriftCrossEncoder().score([]) == []
