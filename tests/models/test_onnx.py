import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragthrift.errors import ConfigurationError, MissingExtra, MissingModel
from ragthrift.models import Calibrated, OnnxEmbedder, OnnxScorer, TeiScorer, TorchEmbedder, TorchScorer, calibrated
from ragthrift.testing import check_embedder, check_scorer

BERLIN = "How many people live in Berlin?"
PASSAGES = [
    "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
    "Berlin is well known for its museums.",
]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_the_cross_encoder_gives_the_logits_of_its_model_card():
    assert OnnxScorer().score(BERLIN, PASSAGES) == pytest.approx([9.2189, -4.0780], abs=0.4)
    paris = OnnxScorer().score("What is the capital of France?", ["Paris is the capital of France.", "Berlin is not."])
    assert paris[0] == pytest.approx(9.33, abs=0.4)


def test_minilm_gives_its_known_vector():
    (vector,) = OnnxEmbedder().embed(["hello world"])
    assert len(vector) == 384
    assert vector[:5] == pytest.approx([-0.0345, 0.0310, 0.0067, 0.0261, -0.0394], abs=0.008)


def test_bge_gives_its_known_vector():
    (vector,) = OnnxEmbedder("bge-small-en-v1.5-int8").embed(["hello world"])
    assert vector[:5] == pytest.approx([0.0152, -0.0227, 0.0086, -0.0742, 0.0039], abs=0.008)


def test_conform():
    check_scorer(OnnxScorer)
    check_embedder(OnnxEmbedder)
    check_embedder(lambda: OnnxEmbedder("bge-small-en-v1.5-int8"))


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2-int8", "bge-small-en-v1.5-int8"])
def test_paraphrases_are_near(name):
    texts = ["How do I reset my password?", "I forgot my password, how can I change it?", "What is your refund policy?"]
    one, two, three = OnnxEmbedder(name).embed(texts)
    assert cosine(one, two) > 0.8
    assert cosine(one, two) > cosine(one, three) + 0.3


def test_bge_marks_queries_with_its_prefix():
    embedder = OnnxEmbedder("bge-small-en-v1.5-int8")
    prefixed = embedder.embed(["Represent this sentence for searching relevant passages: soup"])
    assert embedder.embed(["soup"], role="query") == prefixed
    assert OnnxEmbedder().embed(["soup"], role="query") == OnnxEmbedder().embed(["soup"])
    assert OnnxEmbedder(query_prefix="ask: ").embed(["soup"], role="query") == OnnxEmbedder().embed(["ask: soup"])


def test_company_order_and_threads_do_not_matter():
    texts = [f"Passage {n} says that tower number {n * n} is {'very ' * (n % 9)}tall." for n in range(20)]
    alone = [OnnxScorer().score("How tall is tower 81?", [text])[0] for text in texts]
    assert OnnxScorer(threads=1).score("How tall is tower 81?", texts) == alone
    assert OnnxScorer(threads=4).score("How tall is tower 81?", texts[::-1]) == alone[::-1]


def test_batches_change_int8_logits_a_little_and_keep_the_order():
    texts = [*PASSAGES, "Berlin lies on the Spree.", "Soup is made with onions and patience, says the old cook."]
    packed = OnnxScorer(batch_tokens=4096).score(BERLIN, texts)
    assert packed == pytest.approx(OnnxScorer().score(BERLIN, texts), abs=0.8)
    assert max(range(4), key=packed.__getitem__) == 0


def test_long_texts_are_cut():
    scorer = OnnxScorer(max_tokens=64)
    start = "Berlin has 3.5 million inhabitants. " + "More was said about it later. " * 20
    assert scorer.score(BERLIN, [start]) == scorer.score(BERLIN, [start + "And so on. " * 50])


def test_hostile_texts():
    texts = ["x" * 5_000_000, " " * 1_000_000, "\x00", "\ud800", "[SEP] [CLS]", "🚀" * 3000]
    assert len(OnnxScorer(max_tokens=64).score("q" * 100_000, texts)) == len(texts)
    assert len(OnnxEmbedder(max_tokens=64).embed(texts)) == len(texts)


def test_threads_share_one_model():
    scorer = OnnxScorer()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: scorer.score(BERLIN, PASSAGES), range(12)))
    assert all(answer == answers[0] for answer in answers)


def test_settings_travel():
    scorer = OnnxScorer(threads=1)
    scorer.score("q", ["t"])
    assert copy.deepcopy(scorer) == scorer == pickle.loads(pickle.dumps(scorer))
    assert hash(scorer) == hash(OnnxScorer(threads=1))


def test_a_folder_works_like_a_name(models_folder):
    folder = os.path.join(models_folder, "ms-marco-MiniLM-L-12-v2-int8")
    assert OnnxScorer(folder).score(BERLIN, PASSAGES) == OnnxScorer().score(BERLIN, PASSAGES)


def test_a_missing_model(tmp_path, monkeypatch):
    with pytest.raises(MissingModel, match="must be a folder with"):
        OnnxScorer(str(tmp_path)).score("q", ["t"])
    monkeypatch.setenv("RAGTHRIFT_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingModel, match=r"run: python -m ragthrift\.models fetch ms-marco-MiniLM-L-12-v2-int8"):
        OnnxScorer().score("q", ["t"])


def test_the_wrong_kind_of_model():
    with pytest.raises(ConfigurationError, match="a scorer needs a model with one number per text"):
        OnnxScorer("all-MiniLM-L6-v2-int8").score("q", ["t"])
    with pytest.raises(ConfigurationError, match="is not an ONNX model: use one of"):
        OnnxEmbedder("smollm2-135m-instruct-q4_1").embed(["t"])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"max_tokens": 2}, "max_tokens must be 8 or more, got 2"),
        ({"threads": 0}, "threads must be 1 or more, or None for one per core, got 0"),
        ({"batch_tokens": 0}, "batch_tokens must be 1 or more, or None to run each text alone, got 0"),
        ({"pooling": "max"}, "pooling must be 'mean' or 'cls', got 'max'"),
    ],
)
def test_wrong_settings(settings, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        OnnxEmbedder(**settings)


def test_nothing_to_do_opens_nothing(tmp_path):
    assert OnnxScorer(str(tmp_path)).score("q", []) == []
    assert OnnxEmbedder(str(tmp_path)).embed([]) == []


def test_the_shipped_calibration():
    scorer = calibrated(OnnxScorer())
    assert isinstance(scorer, Calibrated)
    yes, no = scorer.score(BERLIN, PASSAGES)
    assert yes > 0.6
    assert no < 0.05
    check_scorer(lambda: calibrated(OnnxScorer()))


def test_importing_the_package_loads_no_model_library():
    script = """
import sys, ragthrift, ragthrift.models, ragthrift.testing
heavy = {"numpy", "onnxruntime", "tokenizers", "torch", "sentence_transformers", "httpx2", "huggingface_hub", "rich"}
print(sorted(heavy & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_the_public_names_are_all_there():
    import ragthrift.models as models

    assert sorted(models.__all__) == dir(models)
    assert all(getattr(models, name) is not None for name in models.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        models.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("library", "use", "extra"),
    [
        ("onnxruntime", lambda: OnnxScorer(max_tokens=77).score("q", ["t"]), "onnx"),
        ("tokenizers", lambda: OnnxEmbedder(max_tokens=78).embed(["t"]), "onnx"),
        ("httpx2", lambda: TeiScorer().score("q", ["t"]), "http"),
        ("sentence_transformers", lambda: TorchScorer("nowhere").score("q", ["t"]), "torch"),
        ("sentence_transformers", lambda: TorchEmbedder("nowhere").embed(["t"]), "torch"),
    ],
)
def test_a_missing_library_gives_the_pip_line(monkeypatch, library, use, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf'pip install "ragthrift\[{extra}\]"'):
        use()
