import os
from pathlib import Path

import pytest

from ragthrift.errors import ConfigurationError
from ragthrift.models import OnnxEmbedder, TorchEmbedder, TorchScorer, locate
from ragthrift.testing import check_embedder, check_scorer

MODELS = Path(__file__).parents[2] / ".models"

# transformers and torch announce their own deprecations while they are imported and used
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    """A real cross-encoder folder: BERT of one small layer with seeded weights, and the real tokenizer."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross-encoder")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertForSequenceClassification(BertConfig(num_labels=1, **sizes)).save_pretrained(folder)
    BertTokenizerFast.from_pretrained(
        str(locate("all-MiniLM-L6-v2", os.environ.get("RAGTHRIFT_MODELS", MODELS)))
    ).save_pretrained(folder)
    return str(folder)


def test_the_scorer_conforms(cross_encoder):
    check_scorer(lambda: TorchScorer(cross_encoder, device="cpu"))


def test_scores_are_logits_and_independent_of_the_batch(cross_encoder):
    texts = ["a tower in Paris", "soup", "what is a tower " * 50]
    together = TorchScorer(cross_encoder, device="cpu").score("what is a tower?", texts)
    alone = TorchScorer(cross_encoder, device="cpu", batch=1, max_tokens=512).score("what is a tower?", texts)
    assert together == pytest.approx(alone, abs=1e-4)
    assert TorchScorer(cross_encoder, device="cpu").score("q", []) == []


def test_minilm_on_torch_agrees_with_onnx():
    embedder = TorchEmbedder(str(locate("all-MiniLM-L6-v2")), device="cpu")
    check_embedder(lambda: embedder, tolerance=1e-3)
    texts = ["How do I reset my password?", "The tower was completed in 1889.", "埃菲尔铁塔"]
    for ours, theirs in zip(OnnxEmbedder().embed(texts), embedder.embed(texts), strict=True):
        assert sum(a * b for a, b in zip(ours, theirs, strict=True)) > 0.99
    assert embedder.embed(["hello world"])[0][:3] == pytest.approx([-0.034478, 0.031023, 0.006735], abs=1e-4)


def test_a_query_prefix():
    embedder = TorchEmbedder(str(locate("all-MiniLM-L6-v2")), device="cpu", query_prefix="ask: ")
    (prefixed,) = embedder.embed(["ask: soup"])
    assert embedder.embed(["soup"], role="query")[0] == pytest.approx(prefixed, abs=1e-5)


@pytest.mark.parametrize("kind", [TorchEmbedder, TorchScorer])
def test_wrong_settings(kind):
    with pytest.raises(ConfigurationError, match="max_tokens must be 8 or more, or None for the model's own, got 1"):
        kind("m", max_tokens=1)
    with pytest.raises(ConfigurationError, match="batch must be 1 or more, got 0"):
        kind("m", batch=0)
