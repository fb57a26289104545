"""The same input through LlamaIndex's SentenceTransformerRerank and ours, on one real cross-encoder."""

import json
import warnings

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.postprocessor import SentenceTransformerRerank as Old
from llama_index.core.schema import (
    ImageNode,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from llama_index_ragthrift import SentenceTransformerRerank as New
from ragthrift.errors import ConfigurationError, MissingModel

QUERY = "When was the Eiffel Tower completed?"
TEXTS = (
    "Onion soup needs onions, broth and bread.",
    "The Eiffel Tower was completed on 31 March 1889.",
    "The bridge was opened in 1932.",
    "The Eiffel Tower is painted every seven years.",
)


def nodes():
    return [
        NodeWithScore(node=TextNode(text=text, id_=f"n{place}", metadata={"page": place}), score=0.5 - place / 10)
        for place, text in enumerate(TEXTS)
    ]


def dump(found):
    return [item.model_dump() for item in found]


@pytest.fixture(scope="module")
def old(cross_encoder):
    return Old(model=cross_encoder, top_n=3, device="cpu", trust_remote_code=False)


@pytest.fixture(scope="module")
def new(cross_encoder):
    return New(model=cross_encoder, top_n=3, device="cpu", trust_remote_code=False)


def test_the_same_nodes_in_the_same_order_with_the_same_scores(old, new):
    before = old.postprocess_nodes(nodes(), query_str=QUERY)
    after = new.postprocess_nodes(nodes(), query_str=QUERY)
    assert [item.node_id for item in after] == [item.node_id for item in before] == ["n1", "n3", "n2"]
    assert [item.score for item in after] == pytest.approx([float(item.score) for item in before], abs=1e-4)


def test_the_catalogue_model_agrees_without_torch(old):
    before = old.postprocess_nodes(nodes(), query_str=QUERY)
    after = New(top_n=3).postprocess_nodes(nodes(), query_str=QUERY)
    assert [item.node_id for item in after] == [item.node_id for item in before]
    assert [item.score for item in after] == pytest.approx([float(item.score) for item in before], abs=0.02)


def test_the_callers_scores_change_there_and_not_here(old, new):
    first, second = nodes(), nodes()
    old.postprocess_nodes(first, query_str=QUERY)
    out = new.postprocess_nodes(second, query_str=QUERY)
    assert [item.score for item in first] != [0.5, 0.4, 0.3, 0.2]
    assert [item.score for item in second] == [0.5, 0.4, 0.3, 0.2]
    assert dump(second) == dump(nodes())
    assert not any(item is given or item.node is given.node for item in out for given in second)


def test_scores_are_numbers_that_json_knows(old, new):
    (before, *_), (after, *_) = (post.postprocess_nodes(nodes(), query_str=QUERY) for post in (old, new))
    with pytest.raises(TypeError, match="float32 is not JSON serializable"):
        json.dumps({"score": before.score})
    assert json.loads(json.dumps({"score": after.score}))["score"] == after.score


def test_the_kept_retrieval_score_reaches_the_prompt_there_and_not_here(cross_encoder):
    settings = {"model": cross_encoder, "top_n": 1, "device": "cpu", "keep_retrieval_score": True}
    first, second = nodes(), nodes()
    (before,) = Old(**settings, trust_remote_code=False).postprocess_nodes(first, query_str=QUERY)
    (after,) = New(**settings).postprocess_nodes(second, query_str=QUERY)
    assert before.node.metadata["retrieval_score"] == after.node.metadata["retrieval_score"] == 0.4
    assert "retrieval_score: 0.4" in before.node.get_content(MetadataMode.LLM)
    assert "retrieval_score" not in after.node.get_content(MetadataMode.LLM)
    assert "retrieval_score" not in after.node.get_content(MetadataMode.EMBED)
    assert "retrieval_score" in first[1].node.metadata
    assert dump(second) == dump(nodes())


def test_the_same_text_is_read(old, new):
    given = nodes()
    for item in given:
        item.node.metadata = {"title": "When was the Eiffel Tower completed?", "hidden": "soup"}
        item.node.excluded_embed_metadata_keys = ["hidden"]
    before = old.postprocess_nodes([item.model_copy() for item in given], query_str=QUERY)
    after = new.postprocess_nodes(given, query_str=QUERY)
    assert [item.score for item in after] == pytest.approx([float(item.score) for item in before], abs=1e-4)
    assert [item.node.text for item in after] == [item.node.text for item in before]


def test_as_many_nodes_as_asked_for(old, new):
    related = {NodeRelationship.PARENT: RelatedNodeInfo(node_id="n1")}
    same = [NodeWithScore(node=TextNode(text=TEXTS[1], id_="n1")) for _ in range(2)]
    child = NodeWithScore(node=TextNode(text="completed on 31 March 1889", id_="child", relationships=related))
    assert len(old.postprocess_nodes([*same, child], query_str=QUERY)) == 3
    assert len(new.postprocess_nodes([*same, child], query_str=QUERY)) == 3


async def test_async_equals_sync(new):
    small = New(top_n=2, keep_retrieval_score=True)
    for post in (new, small):
        now = post.postprocess_nodes(nodes(), query_str=QUERY)
        assert dump(await post.apostprocess_nodes(nodes(), query_str=QUERY)) == dump(now)


def test_both_refuse_to_work_without_a_query(old, new):
    for post in (old, new):
        with pytest.raises(ValueError, match="query"):
            post.postprocess_nodes(nodes())
        assert post.postprocess_nodes([], query_str=QUERY) == []


def test_both_tell_the_callback_manager(cross_encoder):
    heard = []
    for kind in (Old, New):
        debug = LlamaDebugHandler(print_trace_on_end=False)
        post = kind(model=cross_encoder, top_n=2, device="cpu", trust_remote_code=False)
        post.callback_manager = CallbackManager([debug])
        post.postprocess_nodes(nodes(), QueryBundle(QUERY))
        ((start, end),) = debug.get_event_pairs(CBEventType.RERANKING)
        heard.append((start.payload["model_name"], start.payload["top_k"], len(end.payload["nodes"])))
    assert heard == [(cross_encoder, 2, 2)] * 2


def test_settings_can_change_later_as_before(old, new):
    for post in (old, new):
        post.top_n = 1
        assert [item.node_id for item in post.postprocess_nodes(nodes(), query_str=QUERY)] == ["n1"]
        post.top_n = 3


def test_the_same_parameters():
    import inspect

    ours, theirs = (inspect.signature(kind).parameters for kind in (New, Old))
    assert list(ours)[: len(theirs)] == list(theirs)
    assert [p.kind for p in ours.values()][: len(theirs)] == [p.kind for p in theirs.values()]


def test_dumps_build_the_same_again():
    post = New(top_n=4, keep_retrieval_score=True)
    data = json.loads(post.to_json())
    assert data["class_name"] == "SentenceTransformerRerank"
    assert New.from_dict(data).to_dict() == post.to_dict()


def test_remote_code_never_runs():
    with pytest.warns(UserWarning, match="trust_remote_code=True has no effect: remote code is never run"):
        post = New(trust_remote_code=True)
    assert post.trust_remote_code is False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        New()


def test_wrong_settings_show_at_once():
    with pytest.raises(ConfigurationError, match="top_n must be a whole number of at least 1, or None, got 0"):
        New(top_n=0)
    with pytest.raises(ConfigurationError, match="timeout_s must be above 0, or None for no limit, got -1"):
        New(timeout_s=-1)


async def test_a_model_that_is_not_there_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("RAGTHRIFT_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("ragthrift.models.catalogue.installed", lambda wheel: None)
    with pytest.raises(MissingModel, match=r"python -m ragthrift\.models fetch ms-marco-MiniLM-L-12-v2-int8"):
        New().postprocess_nodes(nodes(), query_str=QUERY)
    with pytest.raises(MissingModel, match=r"python -m ragthrift\.models fetch ms-marco-MiniLM-L-12-v2-int8"):
        await New().apostprocess_nodes(nodes(), query_str=QUERY)


def test_a_folder_that_is_no_model_leaves_the_retrievers_order(tmp_path, caplog):
    out = New(model=str(tmp_path), top_n=2).postprocess_nodes(nodes(), query_str=QUERY)
    assert [(item.node_id, item.score) for item in out] == [("n0", 0.5), ("n1", 0.4)]
    assert "did without: scorer:" in caplog.text


def test_pictures_are_kept_and_odd_nodes_do_no_harm():
    picture = NodeWithScore(node=ImageNode(image_url="http://pictures.example/a.png", id_="picture"), score=0.1)
    odd = [NodeWithScore(node=TextNode(text=text), score=float("nan")) for text in ("", "\ud800", " ")]
    out = New(top_n=2).postprocess_nodes([picture, *odd, *nodes()], query_str=QUERY)
    assert {item.node_id for item in out} == {"n1", "n3", "picture"}
    assert [item.score for item in out if item.node_id == "picture"] == [0.1]
