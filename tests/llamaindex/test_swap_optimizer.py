"""The same input through LlamaIndex's SentenceEmbeddingOptimizer and ours: what the old one loses, ours keeps."""

import json
import math

import pytest
from llama_index.core import MockEmbedding, Settings
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.postprocessor import SentenceEmbeddingOptimizer as Old
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from llama_index_ragthrift import FromLlamaIndex, RagthriftEmbedding
from llama_index_ragthrift import SentenceEmbeddingOptimizer as New
from llama_index_ragthrift.convert import SPANS
from ragthrift.errors import ConfigurationError
from ragthrift.models import OnnxEmbedder
from ragthrift.testing import HashEmbedder

QUERY = "When was the tower completed?"
SENTENCES = (
    "The tower stands in Paris.",
    "It was built by a company.",
    "The tower was completed in 1889.",
    "Visitors climb its levels.",
    "It is painted every seven years.",
    "Onion soup is served nearby.",
)
TEXT = " ".join(SENTENCES)


class Counting(MockEmbedding):
    """Hash embeddings as a LlamaIndex model that counts the batches it is asked for."""

    _batches: list = PrivateAttr(default_factory=list)

    def __init__(self, **fields):
        super().__init__(embed_dim=256, **fields)

    def _vector(self, text):
        return list(HashEmbedder().embed([text])[0])

    def _get_query_embedding(self, query):
        return self._vector(query)

    async def _aget_query_embedding(self, query):
        return self._vector(query)

    def _get_text_embedding(self, text):
        return self._vector(text)

    def _get_text_embeddings(self, texts):
        self._batches.append(len(texts))
        return [self._vector(text) for text in texts]

    async def _aget_text_embeddings(self, texts):
        return self._get_text_embeddings(texts)


def minilm():
    return RagthriftEmbedding(OnnxEmbedder())


def node(text=TEXT, **more):
    return NodeWithScore(node=TextNode(text=text, start_char_idx=500, end_char_idx=500 + len(text), **more), score=0.7)


def both(given, query=QUERY, **settings):
    """What the old and the new one make of equal nodes, and the nodes that each was given."""
    first, second = [given()], [given()]
    embed = settings.pop("embed_model", None) or minilm()
    old = Old(embed_model=embed, **settings).postprocess_nodes(first, query_str=query)
    new = New(embed_model=embed, **settings).postprocess_nodes(second, query_str=query)
    return old[0], new[0], first[0], second[0]


def said(text):
    return [sentence for sentence in SENTENCES for _ in range(text.count(sentence))]


def test_the_text_grows_and_sentences_repeat_there_and_not_here():
    old, new, _, _ = both(node, percentile_cutoff=0.5)
    assert len(old.node.text) > len(TEXT)
    assert len(said(old.node.text)) > len(set(said(old.node.text)))
    assert len(new.node.text) <= len(TEXT)
    assert len(said(new.node.text)) == len(set(said(new.node.text)))


@pytest.mark.parametrize("cutoff", [{"percentile_cutoff": 0.2}, {"percentile_cutoff": 0.5}, {"threshold_cutoff": 0.3}])
@pytest.mark.parametrize("around", [{}, {"context_before": 0, "context_after": 0}, {"context_before": 2}])
def test_the_same_sentences_stay(cutoff, around):
    old, new, _, _ = both(node, **cutoff, **around)
    assert set(said(new.node.text)) == set(said(old.node.text))
    assert "The tower was completed in 1889." in new.node.text


def test_sentences_stay_in_order():
    mixed = "Soup is served. The tower was completed in 1889. Bread is baked. When was it? The tower. Wine."
    settings = {"percentile_cutoff": 0.5, "context_before": 0, "context_after": 0}
    old, new, _, _ = both(lambda: node(mixed), **settings)
    pieces = ("The tower was completed", "When was it?", "The tower.")
    best_first, in_order = ([text.find(piece) for piece in pieces] for text in (old.node.text, new.node.text))
    assert -1 not in best_first + in_order
    assert best_first != sorted(best_first)
    assert in_order == sorted(in_order)
    for start, end in new.node.metadata[SPANS]:
        assert mixed[start - 500 : end - 500] in new.node.text


def test_the_callers_node_changes_there_and_not_here():
    untouched = node(id_="n").model_dump()
    old, new, first, second = both(lambda: node(id_="n"), percentile_cutoff=0.5)
    assert old is first
    assert first.model_dump() != untouched
    assert new is not second
    assert new.node is not second.node
    assert second.model_dump() == untouched


def test_the_callers_query_changes_there_and_not_here():
    asked = [QueryBundle(QUERY), QueryBundle(QUERY)]
    Old(embed_model=minilm(), percentile_cutoff=0.5).postprocess_nodes([node()], asked[0])
    New(embed_model=minilm(), percentile_cutoff=0.5).postprocess_nodes([node()], asked[1])
    assert asked[0].embedding is not None
    assert asked[1].embedding is None


def test_a_query_vector_of_another_model_breaks_the_old_one():
    asked = QueryBundle(QUERY, embedding=[1.0, 0.0])  # the index embeds with another model than the optimizer
    settings = {"embed_model": minilm(), "percentile_cutoff": 0.3, "context_before": 0, "context_after": 0}
    with pytest.raises(ValueError, match="not aligned"):
        Old(**settings).postprocess_nodes([node()], asked)
    (out,) = New(**settings).postprocess_nodes([node()], asked)
    assert out.node.text == "The tower was completed in 1889."
    assert asked.embedding == [1.0, 0.0]


def test_character_ranges_go_stale_there_and_stay_true_here():
    document = "x" * 500 + TEXT
    old, new, _, _ = both(node, percentile_cutoff=0.2, context_before=0, context_after=0)
    assert document[old.node.start_char_idx : old.node.end_char_idx] != old.node.text
    assert document[new.node.start_char_idx : new.node.end_char_idx] == new.node.text
    assert new.node.text == "The tower was completed in 1889."


def test_metadata_is_mixed_into_the_text_there_and_not_here():
    old, new, _, _ = both(lambda: node(metadata={"title": "Tower guide"}), percentile_cutoff=0.5)
    assert "title: Tower guide" in old.node.text
    assert old.node.get_content(MetadataMode.LLM).count("Tower guide") > 1
    assert "Tower guide" not in new.node.text
    assert new.node.get_content(MetadataMode.LLM).count("Tower guide") == 1


def test_nothing_passes_the_threshold():
    settings = {"embed_model": minilm(), "threshold_cutoff": 0.999}
    with pytest.raises(ValueError, match="Optimizer returned zero sentences"):
        Old(**settings).postprocess_nodes([node("Wine is red. Bread is baked."), node()], query_str=QUERY)
    out = New(**settings).postprocess_nodes([node("Wine is red. Bread is baked."), node()], query_str=QUERY)
    assert [item.node.text for item in out] == ["The tower was completed in 1889."]


def test_a_node_where_nothing_passes_goes_when_another_has_something():
    settings = {"embed_model": minilm(), "threshold_cutoff": 0.7, "context_before": 0, "context_after": 0}
    out = New(**settings).postprocess_nodes([node("Wine is red."), node()], query_str=QUERY)
    assert [item.node.text for item in out] == ["The tower was completed in 1889."]


def test_asking_for_less_gave_everything():
    three = " ".join(SENTENCES[:3])
    settings = {"percentile_cutoff": 0.3, "context_before": 0, "context_after": 0}
    old, new, _, _ = both(lambda: node(three), **settings)
    assert set(said(old.node.text)) == set(SENTENCES[:3])
    assert new.node.text == "The tower was completed in 1889."


def test_no_cutoff_at_all():
    old, new, _, _ = both(node)
    assert len(old.node.text) > len(TEXT)
    assert new.node.text == TEXT


async def test_one_batch_for_all_nodes():
    settings = {"percentile_cutoff": 0.5}
    old, new, later = Counting(embed_batch_size=100), Counting(embed_batch_size=100), Counting(embed_batch_size=100)
    Old(embed_model=old, **settings).postprocess_nodes([node() for _ in range(5)], query_str=QUERY)
    New(embed_model=new, **settings).postprocess_nodes([node() for _ in range(5)], query_str=QUERY)
    await New(embed_model=later, **settings).apostprocess_nodes([node() for _ in range(5)], query_str=QUERY)
    assert (old._batches, new._batches, later._batches) == ([6] * 5, [30], [30])


async def test_async_equals_sync():
    for settings in ({"percentile_cutoff": 0.3}, {"threshold_cutoff": 0.2, "context_after": 0}):
        post = New(embed_model=minilm(), **settings)
        given = [node(id_="a"), node("Wine is red. The tower was completed in 1889. Bread is baked.", id_="b")]
        now = post.postprocess_nodes(given, query_str=QUERY)
        later = await post.apostprocess_nodes(given, query_str=QUERY)
        assert [item.model_dump() for item in now] == [item.model_dump() for item in later]


def test_a_tokenizer_of_ones_own():
    lines = "The tower was completed in 1889\nIt is made of iron\nWine is red"
    settings = {"percentile_cutoff": 0.4, "context_before": 0, "context_after": 0, "tokenizer_fn": str.splitlines}
    old, new, _, _ = both(lambda: node(lines), **settings)
    assert old.node.text == new.node.text == "The tower was completed in 1889"


def test_a_tokenizer_that_rewrites_is_done_without(caplog):
    settings = {"percentile_cutoff": 0.2, "context_before": 0, "context_after": 0}
    old, new, _, _ = both(node, tokenizer_fn=lambda text: text.upper().split(". "), **settings)
    assert old.node.text.isupper()
    assert new.node.text == "The tower was completed in 1889."
    assert "tokenizer_fn gave pieces that are not in the text" in caplog.text


def test_tables_and_lists_stay_apart():
    table = "| city | opened |\n|---|---|\n| Paris | 1889 |\n| Sydney | 1932 |\n"
    post = New(embed_model=minilm(), percentile_cutoff=0.4, context_before=0, context_after=0)
    (out,) = post.postprocess_nodes([node(table)], query_str="When did Paris open?")
    assert "| Paris | 1889 |" in out.node.text.splitlines()


def test_several_query_strings():
    asked = QueryBundle("?", custom_embedding_strs=["tower completed", "The tower was completed in 1889."])
    settings = {"embed_model": minilm(), "percentile_cutoff": 0.2, "context_before": 0, "context_after": 0}
    (old,) = Old(**settings).postprocess_nodes([node()], asked)
    asked.embedding = None
    (new,) = New(**settings).postprocess_nodes([node()], asked)
    assert old.node.text == new.node.text == "The tower was completed in 1889."


def test_without_a_query_both_pass_nodes_through():
    assert Old(embed_model=minilm(), percentile_cutoff=0.5).postprocess_nodes([node()])[0].node.text == TEXT
    assert New(embed_model=minilm(), percentile_cutoff=0.5).postprocess_nodes([node()])[0].node.text == TEXT


def test_the_model_of_the_settings():
    Settings.embed_model = minilm()
    try:
        post = New(percentile_cutoff=0.2, context_before=0, context_after=0)
    finally:
        Settings._embed_model = None
    (out,) = post.postprocess_nodes([node()], query_str=QUERY)
    assert out.node.text == "The tower was completed in 1889."


def test_an_embedder_of_the_core_does_too():
    settings = {"percentile_cutoff": 0.2, "context_before": 0, "context_after": 0}
    (out,) = New(OnnxEmbedder(), **settings).postprocess_nodes([node()], query_str=QUERY)
    assert out.node.text == "The tower was completed in 1889."


def test_dumps_hold_the_settings():
    post = New(embed_model=minilm(), percentile_cutoff=0.5, context_before=2)
    data = json.loads(post.to_json())
    assert data == {
        "class_name": "SentenceEmbeddingOptimizer",
        "percentile_cutoff": 0.5,
        "threshold_cutoff": None,
        "context_before": 2,
        "context_after": None,
    }
    assert New.from_dict(data, embed_model=minilm()).to_dict() == post.to_dict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"percentile_cutoff": 1.5}, "percentile_cutoff must lie between 0 and 1, got 1.5"),
        ({"threshold_cutoff": 2.0}, "threshold_cutoff is a cosine between -1 and 1, got 2.0"),
        ({"context_before": -1}, "context_before must be 0 or more, got -1"),
        ({"context_after": -2}, "context_after must be 0 or more, got -2"),
        ({"embed_model": "minilm"}, "embed_model must be a LlamaIndex embedding model or an Embedder, got 'minilm'"),
    ],
)
def test_wrong_settings_show_at_once(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        New(**{"embed_model": HashEmbedder(), **settings})


class Broken:
    def __init__(self, answer):
        self.answer = answer

    def embed(self, texts, *, role="passage"):
        return self.answer(texts)


@pytest.mark.parametrize(
    "answer",
    [
        lambda texts: [[math.nan, 0.0]] * len(texts),
        lambda texts: [[1.0, 0.0]],
        lambda texts: [[1.0] * (1 + len(texts) % 2)] * len(texts),
        lambda texts: 1 / 0,
    ],
)
async def test_a_broken_model_lets_the_nodes_through(answer):
    post = New(Broken(answer), percentile_cutoff=0.2)
    given = [node(id_="a"), node(id_="b")]
    for out in (post.postprocess_nodes(given, query_str=QUERY), await post.apostprocess_nodes(given, query_str=QUERY)):
        assert [item.model_dump() for item in out] == [item.model_dump() for item in given]


def test_odd_texts():
    texts = ["", "  \n", "One.", "埃菲尔铁塔于1889年建成。埃菲尔铁塔在巴黎。", "\ud800 lone. Half a pair."]
    given = [node(text) for text in texts]
    out = New(HashEmbedder(), percentile_cutoff=0.5).postprocess_nodes(given, query_str=QUERY)
    assert [item.node_id for item in out] == [item.node_id for item in given]
    assert New(HashEmbedder(), percentile_cutoff=0.5).postprocess_nodes([node("")], query_str=QUERY)[0].node.text == ""
    assert New(HashEmbedder(), percentile_cutoff=0.5).postprocess_nodes([], query_str=QUERY) == []


def test_vectors_of_any_length_count_as_directions():
    class Long(Counting):
        def _vector(self, text):
            return [7 * x for x in super()._vector(text)]

    settings = {"threshold_cutoff": 0.3, "context_before": 0, "context_after": 0}
    (near,) = New(embed_model=Counting(), **settings).postprocess_nodes([node()], query_str=QUERY)
    (far,) = New(embed_model=Long(), **settings).postprocess_nodes([node()], query_str=QUERY)
    assert near.node.text == far.node.text
    (short,), (long,) = (FromLlamaIndex(kind()).embed(["tower"]) for kind in (Counting, Long))
    assert long == pytest.approx(short)
