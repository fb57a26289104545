import copy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.schema import (
    Document,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)

from llama_index_ragthrift.convert import SPANS, label, node_with_score, passage, readable, text
from ragthrift.types import Span

TEXT = "The tower is in Paris. It opened in 1889. Soup is made of onions."
RELATED = {
    NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc"),
    NodeRelationship.PARENT: RelatedNodeInfo(node_id="section"),
    NodeRelationship.NEXT: RelatedNodeInfo(node_id="next"),
    NodeRelationship.CHILD: [RelatedNodeInfo(node_id="child")],
}


class Footnoted(TextNode):
    note: str = ""


def common(**more):
    return {
        "id_": "n1",
        "metadata": {"title": "Tower", "page": 3},
        "excluded_llm_metadata_keys": ["page"],
        "relationships": dict(RELATED),
        "embedding": [0.5, 0.5],
        **more,
    }


NODES = {
    "TextNode": lambda: TextNode(text=TEXT, start_char_idx=100, end_char_idx=100 + len(TEXT), **common()),
    "Node": lambda: Node(
        text_resource=MediaResource(text=TEXT, mimetype="text/markdown"),
        image_resource=MediaResource(url="http://pictures.example/tower.png"),
        **common(),
    ),
    "ImageNode": lambda: ImageNode(text=TEXT, image_url="http://pictures.example/tower.png", **common()),
    "IndexNode": lambda: IndexNode(text=TEXT, index_id="other", obj=TextNode(text="inner"), **common()),
    "Document": lambda: Document(text=TEXT, **common()),
    "subclass": lambda: Footnoted(text=TEXT, note="see page 4", **common()),
}


def cut(found, *ranges):
    """The passage as an engine cuts it, and the node that comes of it."""
    given = passage(found)
    pieces = [given.text[start:end] for start, end in ranges]
    return node_with_score(found, replace(given, text=" ".join(pieces), spans=tuple(Span(*r) for r in ranges)))


def test_a_passage_holds_what_an_engine_needs():
    given = passage(NodeWithScore(node=NODES["TextNode"](), score=0.3))
    assert (given.text, given.id, given.title, given.score) == (TEXT, "n1", "Tower", 0.3)
    assert (given.source, given.parent, given.start) == ("doc", "section", 100)
    assert given.label == "title: Tower\n\n"
    assert given.metadata == {"title": "Tower", "page": 3}


def test_the_title_comes_from_the_first_key_present():
    node = TextNode(text="x", metadata={"title": "", "document_title": "Report", "name": "N"})
    assert passage(NodeWithScore(node=node)).title == "Report"
    assert passage(NodeWithScore(node=node), title_keys=["name", "title"]).title == "N"
    assert passage(NodeWithScore(node=node), title_keys=[]).title == ""


def test_odd_relationships_do_not_matter():
    node = TextNode(text="x", relationships={NodeRelationship.CHILD: [RelatedNodeInfo(node_id="c")]})
    node.relationships[NodeRelationship.PARENT] = [RelatedNodeInfo(node_id="a"), RelatedNodeInfo(node_id="b")]
    assert passage(NodeWithScore(node=node)).parent == ""
    assert passage(NodeWithScore(node=node)).source == ""


@pytest.mark.parametrize("kind", NODES)
def test_a_cut_node_keeps_all_but_its_text(kind):
    node = NODES[kind]()
    before = node.model_dump()
    out = cut(NodeWithScore(node=node, score=0.3), (0, 22), (42, 65))
    assert type(out.node) is type(node)
    assert text(out.node) == "The tower is in Paris. Soup is made of onions."
    assert out.node.get_content(MetadataMode.NONE) == text(out.node)
    assert out.score == 0.3
    after = out.node.model_dump()
    changed = {"text", "text_resource", "metadata", "start_char_idx", "end_char_idx"}
    changed |= {"excluded_llm_metadata_keys", "excluded_embed_metadata_keys"}
    assert {k: v for k, v in after.items() if k not in changed} == {k: v for k, v in before.items() if k not in changed}
    assert out.node.excluded_llm_metadata_keys == ["page", SPANS]
    assert out.node.excluded_embed_metadata_keys == [SPANS]
    assert {k: v for k, v in out.node.metadata.items() if k != SPANS} == node.metadata
    assert "ragthrift" not in out.node.get_content(MetadataMode.LLM)
    assert "ragthrift" not in out.node.get_content(MetadataMode.EMBED)
    assert node.model_dump() == before


@pytest.mark.parametrize("kind", NODES)
def test_changing_what_came_back_leaves_the_original_alone(kind):
    node = NODES[kind]()
    before = copy.deepcopy(node)
    for out in (cut(NodeWithScore(node=node), (0, 22)), cut(NodeWithScore(node=node), (0, len(TEXT)))):
        out.node.metadata["new"] = 1
        out.node.relationships.clear()
        out.node.excluded_llm_metadata_keys.clear()
        out.node.set_content("gone")
        out.score = 9.0
    assert node.model_dump() == before.model_dump()


def test_media_and_kind_of_text_survive():
    node = NODES["Node"]()
    out = cut(NodeWithScore(node=node), (0, 22)).node
    assert out.image_resource == node.image_resource
    assert (out.text_resource.mimetype, out.text_resource.text) == ("text/markdown", "The tower is in Paris.")


def test_one_range_moves_the_character_range():
    out = cut(NodeWithScore(node=NODES["TextNode"]()), (23, 41)).node
    assert (out.start_char_idx, out.end_char_idx) == (123, 141)
    assert out.metadata[SPANS] == [[123, 141]]


def test_several_ranges_are_covered_and_listed():
    out = cut(NodeWithScore(node=NODES["TextNode"]()), (0, 22), (42, 65)).node
    assert (out.start_char_idx, out.end_char_idx) == (100, 165)
    assert out.metadata[SPANS] == [[100, 122], [142, 165]]


def test_a_node_without_its_own_range_lists_ranges_of_its_text():
    out = cut(NodeWithScore(node=TextNode(text=TEXT)), (23, 41)).node
    assert (out.start_char_idx, out.end_char_idx) == (None, None)
    assert out.metadata[SPANS] == [[23, 41]]


def test_a_range_that_is_not_that_of_the_text_stays():
    node = TextNode(text=TEXT, start_char_idx=7, end_char_idx=9)
    out = cut(NodeWithScore(node=node), (23, 41)).node
    assert (out.start_char_idx, out.end_char_idx) == (7, 9)
    assert out.metadata[SPANS] == [[23, 41]]


def test_a_second_cut_still_points_into_the_document():
    once = cut(NodeWithScore(node=NODES["TextNode"]()), (0, 22), (42, 65))  # "The tower is in Paris. Soup is ..."
    twice = cut(once, (13, 27)).node
    assert twice.text == "in Paris. Soup"
    assert twice.metadata[SPANS] == [[113, 122], [142, 146]]
    assert (twice.start_char_idx, twice.end_char_idx) == (113, 146)
    assert twice.excluded_llm_metadata_keys == ["page", SPANS]


def test_a_whole_node_gets_no_mark():
    out = cut(NodeWithScore(node=NODES["TextNode"]()), (0, len(TEXT))).node
    assert out.model_dump() == NODES["TextNode"]().model_dump()


@pytest.mark.parametrize("odd", [None, 7, "ab", [[1]], [["a", "b"]], [[0, 3, 4]], [[0, 999_999]]])
def test_a_foreign_value_under_the_key_is_replaced(odd):
    out = cut(NodeWithScore(node=TextNode(text=TEXT, metadata={SPANS: odd})), (23, 41)).node
    assert out.metadata[SPANS] == [[23, 41]]


@pytest.mark.parametrize(
    ("template", "rendered", "cost"),
    [
        ("{metadata_str}\n\n{content}", "a: 1|b: 2\n\nTEXT", "a: 1|b: 2\n\n"),
        ("<{content}> ({metadata_str})", "<TEXT> (a: 1|b: 2)", "> (a: 1|b: 2)\n<"),
        ("{metadata_str} only", "a: 1|b: 2 only", ""),
    ],
)
def test_the_label_is_what_the_llm_reads_around_the_text(template, rendered, cost):
    settings = {"text_template": template, "metadata_separator": "|", "metadata": {"a": 1, "b": 2, "hidden": 3}}
    node = TextNode(text="TEXT", excluded_llm_metadata_keys=["hidden"], **settings)
    assert node.get_content(MetadataMode.LLM) == rendered
    assert label(node) == cost
    assert label(Document(text="TEXT", excluded_llm_metadata_keys=["hidden"], **settings)) == cost


def test_no_metadata_no_label():
    assert label(TextNode(text="TEXT")) == ""
    assert passage(NodeWithScore(node=TextNode(text="TEXT"))).label == ""


def test_braces_in_text_and_metadata():
    node = TextNode(text="{0} {content}", metadata={"k": "{metadata_str}"})
    assert label(node) + text(node) == node.get_content(MetadataMode.LLM) == "k: {metadata_str}\n\n{0} {content}"


def test_what_an_engine_may_judge():
    image = MediaResource(url="http://pictures.example/tower.png")
    assert all(readable(make()) for make in NODES.values())
    assert readable(TextNode(text=""))
    assert readable(Document(text=""))
    assert not readable(ImageNode(image_url="http://pictures.example/tower.png"))
    assert not readable(IndexNode(text=" ", index_id="other"))
    assert not readable(Node(image_resource=image))
    assert not readable(Node(text_resource=MediaResource(text=None), audio_resource=image))
    assert not readable(Document(video_resource=image))


def test_text_that_is_none():
    assert text(Node(text_resource=MediaResource(text=None))) == ""
    assert text(Node()) == ""
    assert passage(NodeWithScore(node=TextNode.model_construct(text=None, metadata={}, relationships={}))).text == ""


@given(
    content=st.text(min_size=1, max_size=60),
    start=st.none() | st.integers(0, 1000),
    bounds=st.lists(st.integers(0, 60), min_size=2, max_size=8, unique=True),
)
def test_ranges_always_point_at_the_kept_text(content, start, bounds):
    edges = sorted(min(bound, len(content)) for bound in bounds)
    ranges = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False) if a < b]
    ranges = [r for n, r in enumerate(ranges) if not n or r[0] > ranges[n - 1][1]]
    if not ranges:
        return
    document = "\ue000" * (start or 0) + content
    end = None if start is None else start + len(content)
    found = NodeWithScore(node=TextNode(text=content, start_char_idx=start, end_char_idx=end))
    out = cut(found, *ranges).node
    if out.text == content:
        assert SPANS not in out.metadata
        return
    assert " ".join(document[a:b] for a, b in out.metadata[SPANS]) == out.text
    if start is not None:
        assert (out.start_char_idx, out.end_char_idx) == (out.metadata[SPANS][0][0], out.metadata[SPANS][-1][1])
