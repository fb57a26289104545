import asyncio
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import (
    ImageNode,
    IndexNode,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from llama_index_ragthrift import LeanEvent, LeanPostprocessor
from llama_index_ragthrift.convert import SPANS
from ragthrift.compress import Compressor
from ragthrift.errors import ConfigurationError
from ragthrift.events import listen
from ragthrift.rerank import Reranker
from ragthrift.testing import FixedScorer
from ragthrift.tokens import Approximate, Tiktoken
from ragthrift.types import Lean, Passage

QUERY = "When was the Eiffel Tower completed?"
TOWER = (
    "The Eiffel Tower stands in Paris. Gustave Eiffel's company built it. It was completed on 31 March 1889. "
    "The tower is painted every seven years. Visitors can climb two of its levels."
)
SOUP = "Onion soup needs onions, broth and bread. The onions are cooked slowly. Cheese is melted on top."
BRIDGE = "The bridge over the river was opened in 1932. Its arch is made of steel. Trains cross it."


def nodes():
    return [
        NodeWithScore(
            node=TextNode(
                text=text,
                id_=f"n{place}",
                metadata={"title": title, "page": place},
                excluded_llm_metadata_keys=["page"],
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"d{place}")},
                start_char_idx=1000 * place,
                end_char_idx=1000 * place + len(text),
            ),
            score=0.9 - place / 10,
        )
        for place, (title, text) in enumerate([("Soup", SOUP), ("Eiffel Tower", TOWER), ("Bridge", BRIDGE)])
    ]


def dump(found):
    return [item.model_dump() for item in found]


@contextmanager
def recorded():
    """The names and the events that reach a handler of the root dispatcher."""
    events = []

    class Recorder(BaseEventHandler):
        def handle(self, event, **kwargs):
            events.append(event)

    root = get_dispatcher()
    recorder = Recorder()
    root.add_event_handler(recorder)
    try:
        yield events
    finally:
        root.event_handlers.remove(recorder)


def test_it_is_a_node_postprocessor():
    post = LeanPostprocessor(Compressor(budget=60))
    assert isinstance(post, BaseNodePostprocessor)
    assert post.class_name() == "LeanPostprocessor"


def test_a_compressor_cuts_nodes_and_keeps_their_scores():
    given = nodes()
    before = dump(given)
    out = LeanPostprocessor(Compressor(budget=60)).postprocess_nodes(given, query_str=QUERY)
    assert dump(given) == before
    assert all(item.score == next(g.score for g in given if g.node_id == item.node_id) for item in out)
    assert any("completed on 31 March 1889" in item.node.text for item in out)
    for item in out:
        original = next(g.node for g in given if g.node_id == item.node_id)
        assert item.node is not original
        assert item.node.relationships == original.relationships
        if SPANS in item.node.metadata:
            offset = original.start_char_idx
            pieces = [original.text[a - offset : b - offset] for a, b in item.node.metadata[SPANS]]
            assert "".join(item.node.text.split()) == "".join("".join(pieces).split())
    assert [item.node_id for item in out] == sorted(item.node_id for item in out)


def test_a_reranker_orders_nodes_and_sets_their_scores():
    scorer = FixedScorer([0.1, 0.8, 0.4])
    given = nodes()
    before = dump(given)
    out = LeanPostprocessor(Reranker(scorer, top_n=2)).postprocess_nodes(given, query_str=QUERY)
    assert [(item.node_id, item.score) for item in out] == [("n1", 0.8), ("n2", 0.4)]
    assert [item.node.model_dump() for item in out] == [given[1].node.model_dump(), given[2].node.model_dump()]
    assert dump(given) == before


def test_two_engines_one_after_the_other():
    chain = [
        LeanPostprocessor(Reranker(FixedScorer([0.1, 0.8, 0.4]), top_n=2)),
        LeanPostprocessor(Compressor(budget=40)),
        LeanPostprocessor(Compressor(budget=25)),
    ]
    out = nodes()
    for post in chain:
        out = post.postprocess_nodes(out, query_str=QUERY)
    assert {item.node_id for item in out} <= {"n1", "n2"}
    assert any("1889" in item.node.text for item in out)
    for item in out:
        original = next(g.node for g in nodes() if g.node_id == item.node_id)
        for a, b in item.node.metadata.get(SPANS, []):
            assert original.text[a - original.start_char_idx : b - original.start_char_idx] in item.node.text


@pytest.mark.parametrize("template", ["{metadata_str}\n\n{content}", "<{content}>\n({metadata_str}, read with care)"])
@pytest.mark.parametrize("counter", [Approximate(), Tiktoken("o200k_base"), Tiktoken("cl100k_base")])
@pytest.mark.parametrize("budget", [5, 20, 37, 60, 90])
def test_the_budget_holds_for_what_the_llm_reads(template, counter, budget):
    given = nodes()
    for item in given:
        item.node.text_template = template
        item.node.metadata["section"] = "A long heading, " * 2
    out = LeanPostprocessor(Compressor(budget=budget, counter=counter)).postprocess_nodes(given, query_str=QUERY)
    read = "\n\n".join(item.node.get_content(MetadataMode.LLM) for item in out)
    assert counter.count(read) <= budget


def test_the_title_helps_and_costs_only_what_is_read():
    seen = []

    @dataclass(frozen=True)
    class Spy:
        def lean(self, query: str, passages):
            seen.extend(passages)
            return Lean(tuple(passages), (), 0, 0)

        async def alean(self, query: str, passages):
            return self.lean(query, passages)

    node = TextNode(text="It opened in 1889.", metadata={"name": "Tower"}, excluded_llm_metadata_keys=["name"])
    LeanPostprocessor(Spy(), title_keys=["name"]).postprocess_nodes([NodeWithScore(node=node)], query_str=QUERY)
    assert [(p.title, p.label) for p in seen] == [("Tower", "")]


async def test_async_equals_sync():
    for engine in (Compressor(budget=60), Compressor(budget=0.3, min_tokens=0), Reranker(FixedScorer([0.1, 0.8, 0.4]))):
        post = LeanPostprocessor(engine)
        assert dump(await post.apostprocess_nodes(nodes(), query_str=QUERY)) == dump(
            post.postprocess_nodes(nodes(), query_str=QUERY)
        )


async def test_async_awaits_the_model_on_the_loop():
    class Awaited:
        loop = None

        def score(self, query, texts):
            raise AssertionError("the sync method was called")

        async def ascore(self, query, texts):
            self.loop = asyncio.get_running_loop()
            return [float(len(text)) for text in texts]

    scorer = Awaited()
    out = await LeanPostprocessor(Reranker(scorer, top_n=1)).apostprocess_nodes(nodes(), query_str=QUERY)
    assert [item.node_id for item in out] == ["n1"]
    assert scorer.loop is asyncio.get_running_loop()


async def test_events_of_sync_and_async_calls():
    post = LeanPostprocessor(Reranker(FixedScorer([0.1, 0.8, 0.4]), top_n=2))
    with recorded() as from_sync:
        post.postprocess_nodes(nodes(), query_str=QUERY)
    with recorded() as from_async:
        await post.apostprocess_nodes(nodes(), query_str=QUERY)
    for events in (from_sync, from_async):
        assert [event.class_name() for event in events] == ["ReRankStartEvent", "ReRankEndEvent", "LeanEvent"]
        start, end, lean = events
        assert (start.query.query_str, len(start.nodes), start.top_n, start.model_name) == (QUERY, 3, 2, "FixedScorer")
        assert [item.node_id for item in end.nodes] == ["n1", "n2"]
        assert (lean.kept, lean.dropped, lean.fallbacks) == (["n1", "n2"], ["n0"], [])
        assert lean.tokens_after < lean.tokens_before
        assert [decision.reason for decision in lean.lean.receipt.decisions] == ["kept", "kept", "top_n"]
        assert json.loads(lean.model_dump_json())["dropped"] == ["n0"]
        assert "lean" not in lean.model_dump()


def test_the_callback_manager_hears_of_it():
    debug = LlamaDebugHandler(print_trace_on_end=False)
    post = LeanPostprocessor(Compressor(budget=60), callback_manager=CallbackManager([debug]))
    post.postprocess_nodes(nodes(), query_str=QUERY)
    ((start, end),) = debug.get_event_pairs(CBEventType.RERANKING)
    assert (start.payload["query_str"], start.payload["model_name"]) == (QUERY, "lexical")
    assert len(start.payload["nodes"]) == 3
    assert end.payload["nodes"]


def test_dumps_describe_the_engine_and_do_not_hold_it():
    post = LeanPostprocessor(Compressor(budget=60), title_keys=["name"])
    data = post.to_dict()
    assert data["class_name"] == "LeanPostprocessor"
    assert data["engine"].startswith("Compressor(budget=60,")
    assert json.loads(post.to_json())["title_keys"] == ["name"]
    again = LeanPostprocessor.from_dict(json.loads(json.dumps(data)), engine=Compressor(budget=60))
    assert again.to_dict() == data
    with pytest.raises(ConfigurationError, match="engine must have lean"):
        LeanPostprocessor.from_dict(data)


def test_wrong_settings_show_at_once():
    with pytest.raises(ConfigurationError, match=r"engine must have lean.*, got None"):
        LeanPostprocessor(None)
    with pytest.raises(ConfigurationError, match="title_keys must be a list of metadata keys, got the string 'title'"):
        LeanPostprocessor(Compressor(budget=60), title_keys="title")


def test_without_a_query_all_nodes_stay():
    given = nodes()
    out = LeanPostprocessor(Compressor(budget=5)).postprocess_nodes(given)
    assert dump(out) == dump(given)
    assert all(a.node is not b.node for a, b in zip(out, given, strict=True))


async def test_nothing_in_nothing_out():
    post = LeanPostprocessor(Compressor(budget=60))
    assert post.postprocess_nodes([], query_str=QUERY) == []
    assert await post.apostprocess_nodes([], query_str=QUERY) == []
    assert post.postprocess_nodes([]) == []


def test_plain_texts_and_plain_nodes():
    post = LeanPostprocessor(Reranker(FixedScorer({TOWER: 0.9, SOUP: 0.1, BRIDGE: 0.2}), top_n=2))
    given = [SOUP, TextNode(text=TOWER, id_="t"), NodeWithScore(node=TextNode(text=BRIDGE))]
    out = post.postprocess_nodes(given, QueryBundle(QUERY))
    assert [(item.node.text, item.score) for item in out] == [(TOWER, 0.9), (BRIDGE, 0.2)]
    assert out[0].node_id == "t"


def pictures():
    first, *rest = nodes()
    image = NodeWithScore(node=ImageNode(image_url="http://pictures.example/a.png", id_="image"), score=0.2)
    link = NodeWithScore(node=IndexNode(text="", index_id="other", id_="link"))
    return [image, first, link, *rest]


def test_nodes_without_text_stay_in_place_when_the_order_stays():
    given = pictures()
    out = LeanPostprocessor(Compressor(budget=60)).postprocess_nodes(given, query_str=QUERY)
    ids = [item.node_id for item in out]
    assert ids == [i for i in ["image", "n0", "link", "n1", "n2"] if i in ids]
    assert {"image", "link", "n1"} <= set(ids)
    assert out[0].model_dump() == given[0].model_dump()


def test_nodes_without_text_follow_when_the_order_changes():
    post = LeanPostprocessor(Reranker(FixedScorer([0.1, 0.4, 0.8]), top_n=2))
    out = post.postprocess_nodes(pictures(), query_str=QUERY)
    assert [item.node_id for item in out] == ["n2", "n1", "image", "link"]


def test_nothing_but_nodes_without_text():
    only = [NodeWithScore(node=ImageNode(image_url="http://pictures.example/a.png"))]
    out = LeanPostprocessor(Compressor(budget=60)).postprocess_nodes(only, query_str=QUERY)
    assert dump(out) == dump(only)


def test_parents_of_a_hierarchy_replace_their_children():
    parent = TextNode(text=TOWER, id_="parent")
    child = TextNode(
        text=TOWER[:33], id_="child", relationships={NodeRelationship.PARENT: RelatedNodeInfo(node_id="parent")}
    )
    post = LeanPostprocessor(Reranker(FixedScorer([0.8, 0.9]), top_n=2))
    out = post.postprocess_nodes([NodeWithScore(node=parent), NodeWithScore(node=child)], query_str=QUERY)
    assert [item.node_id for item in out] == ["parent"]


def test_shadow_mode_changes_nothing():
    with recorded() as events:
        out = LeanPostprocessor(Compressor(budget=20, shadow=True)).postprocess_nodes(nodes(), query_str=QUERY)
    assert dump(out) == dump(nodes())
    assert events[-1].shadow


@dataclass(frozen=True)
class Broken:
    """An engine that raises, or answers with `reply`."""

    error: Exception | None = None
    reply: object = None

    def lean(self, query: str, passages):
        if self.error:
            raise self.error
        return self.reply

    async def alean(self, query: str, passages):
        return self.lean(query, passages)


BREAKS = {
    "raises": Broken(RuntimeError("out of memory")),
    "answers None": Broken(),
    "forgets the place": Broken(reply=Lean((Passage("made up"),), (), 1, 1)),
    "is out of range": Broken(reply=Lean((Passage("made up", index=3),), (), 1, 1)),
}


@pytest.mark.parametrize("kind", BREAKS)
async def test_a_broken_engine_lets_the_nodes_through_and_is_counted(kind, caplog):
    post = LeanPostprocessor(BREAKS[kind])
    heard = []
    with listen(heard.append), recorded() as events:
        out = post.postprocess_nodes(pictures(), query_str=QUERY)
        later = await post.apostprocess_nodes(pictures(), query_str=QUERY)
    assert dump(out) == dump(pictures()) == dump(later)
    assert [event.name for event in heard] == ["llama_index.fallback"] * 2
    assert [event.class_name() for event in events] == ["ReRankStartEvent", "ReRankEndEvent", "LeanEvent"] * 2
    assert (events[2].tokens_before, len(events[2].fallbacks)) == (None, 1)
    assert "Broken failed, the nodes go through as they were" in caplog.text


async def test_a_wrong_configuration_is_not_swallowed():
    post = LeanPostprocessor(Broken(ConfigurationError("no such corpus 'x'")))
    with pytest.raises(ConfigurationError, match="no such corpus"):
        post.postprocess_nodes(nodes(), query_str=QUERY)
    with pytest.raises(ConfigurationError, match="no such corpus"):
        await post.apostprocess_nodes(nodes(), query_str=QUERY)


class Hangs:
    def score(self, query, texts):
        time.sleep(60)
        return [0.0] * len(texts)


class Fails:
    def score(self, query, texts):
        raise OSError("connection refused")


@pytest.mark.parametrize("scorer", [Hangs(), Fails()])
async def test_a_model_that_hangs_or_fails_is_done_without(scorer, caplog):
    post = LeanPostprocessor(Reranker(scorer, top_n=2, timeout_s=0.05))
    out = post.postprocess_nodes(nodes(), query_str=QUERY)
    assert [(item.node_id, item.score) for item in out] == [("n0", 0.9), ("n1", 0.8)]
    assert dump(await post.apostprocess_nodes(nodes(), query_str=QUERY)) == dump(out)
    assert "did without: scorer:" in caplog.text


async def test_cancelling_is_not_swallowed():
    class Slow:
        def score(self, query, texts): ...

        async def ascore(self, query, texts):
            await asyncio.sleep(60)

    post = LeanPostprocessor(Reranker(Slow()))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await post.apostprocess_nodes(nodes(), query_str=QUERY)


def test_hostile_nodes():
    given = [
        NodeWithScore(node=TextNode(text="", id_="empty"), score=0.5),
        NodeWithScore(node=TextNode(text=" \n\t", id_="blank"), score=float("nan")),
        NodeWithScore(node=TextNode(text=TOWER, id_="twice"), score=float("inf")),
        NodeWithScore(node=TextNode(text=BRIDGE, id_="twice"), score=None),
        NodeWithScore(node=TextNode(text="埃菲尔铁塔于1889年建成。\ud800 👩‍🚀", id_="odd"), score=-1e308),
    ]
    before = [(item.node.model_dump(), repr(item.score)) for item in given]
    for engine in (Compressor(budget=30), Compressor(budget=0.2, min_tokens=0), Reranker(FixedScorer([1, 2, 3, 4, 5]))):
        for query in (QUERY, "   ", ""):
            out = LeanPostprocessor(engine).postprocess_nodes(given, query_str=query)
            assert out
            assert {item.node_id for item in out} <= {"empty", "blank", "twice", "odd"}
    assert [(item.node.model_dump(), repr(item.score)) for item in given] == before


def test_nodes_with_equal_ids_are_told_apart():
    given = [NodeWithScore(node=TextNode(text=t, id_="same"), score=0.5) for t in (SOUP, TOWER, BRIDGE)]
    out = LeanPostprocessor(Reranker(FixedScorer([0.1, 0.8, 0.4]))).postprocess_nodes(given, query_str=QUERY)
    assert [item.node.text for item in out] == [TOWER, BRIDGE, SOUP]


def test_a_node_of_five_megabytes():
    filler = "Nothing of interest happens in this line, " * 20 + "nor later.\n\n"
    text = filler * (5_000_000 // len(filler)) + TOWER
    node = TextNode(text=text, start_char_idx=0, end_char_idx=len(text))
    (out,) = LeanPostprocessor(Compressor(budget=100)).postprocess_nodes([NodeWithScore(node=node)], query_str=QUERY)
    assert "completed on 31 March 1889" in out.node.text
    assert Approximate().count(out.node.text) <= 100
    assert all(text[a:b] in out.node.text for a, b in out.node.metadata[SPANS])
    assert len(node.text) == len(text)


def test_an_event_of_an_engine_result():
    event = LeanEvent.of("mine", Lean((Passage("a", id="x"),), (), 3, 3))
    assert (event.engine, event.kept, event.tokens_before, event.abstained) == ("mine", ["x"], 3, False)
