"""Nodes to passages and back. What comes back is a copy: ids, relationships, metadata and character ranges stay true.

A node that an engine cut keeps its class, id, relationships and embedding. `start_char_idx` and `end_char_idx` move to
what is left, from the start of the first kept range to the end of the last. The exact ranges stand under the metadata
key `ragthrift_spans`, which neither the LLM nor an embedding model gets to see: pairs `[start, end]` in the source
document when the node knew its own range, so that the first of them begins at `start_char_idx`, and in the node's
original text otherwise.

The score of a node is that of its passage: a compressor leaves the retriever's, a reranker sets its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.schema import (
    BaseNode,
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

from ragthrift.types import Passage, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SPANS = "ragthrift_spans"
"""The metadata key of the kept ranges."""

TITLE_KEYS = ("title", "document_title")
"""Metadata keys that hold a title, the first one present wins; TitleExtractor writes `document_title`."""

_HERE = "\0\1\0"
"""Stands for the text while a template is rendered: no strip() touches it and no text holds it."""


def passage(found: NodeWithScore, *, title_keys: Sequence[str] = TITLE_KEYS) -> Passage:
    """The node as an engine sees it; its label is what the LLM reads around the text."""
    node = found.node
    title = next((str(node.metadata[key]) for key in title_keys if node.metadata.get(key)), "")
    return Passage(
        text=text(node),
        id=node.node_id,
        title=title,
        score=found.score,
        source=_related(node, NodeRelationship.SOURCE),
        parent=_related(node, NodeRelationship.PARENT),
        start=getattr(node, "start_char_idx", None),
        label=label(node),
        metadata=dict(node.metadata),
    )


def node_with_score(found: NodeWithScore, kept: Passage) -> NodeWithScore:
    """A copy of the node with the text and the score of the passage that an engine made of it."""
    node = copied(found.node)
    if kept.spans and kept.text != text(node):
        node = _cut(node, kept)
    return found.model_copy(update={"node": node, "score": kept.score})


def copied(node: BaseNode) -> BaseNode:
    """A copy whose metadata, excluded keys and relationships may be changed without touching the original."""
    return node.model_copy(
        update={
            "metadata": dict(node.metadata),
            "excluded_llm_metadata_keys": list(node.excluded_llm_metadata_keys),
            "excluded_embed_metadata_keys": list(node.excluded_embed_metadata_keys),
            "relationships": dict(node.relationships),
        }
    )


def hidden(node: BaseNode, key: str, value: object) -> BaseNode:
    """A copy with one more metadata entry, which neither the LLM nor an embedding model gets to see."""
    node = copied(node)
    node.metadata[key] = value
    for excluded in (node.excluded_llm_metadata_keys, node.excluded_embed_metadata_keys):
        if key not in excluded:
            excluded.append(key)
    return node


def text(node: BaseNode) -> str:
    """The node's text alone, empty when it has none."""
    if isinstance(node, Node):
        content: object = node.text_resource.text if node.text_resource else ""
    elif isinstance(node, TextNode):
        content = node.text
    else:
        content = node.get_content(MetadataMode.NONE)
    return content if isinstance(content, str) else ""


def readable(node: BaseNode) -> bool:
    """Whether an engine may judge the node: it has a text, or else nothing that would be lost with it."""
    if text(node).strip():
        return True
    if isinstance(node, Node):
        return not (node.image_resource or node.audio_resource or node.video_resource)
    return isinstance(node, TextNode) and not isinstance(node, ImageNode | IndexNode)


def label(node: BaseNode) -> str:
    """What the LLM reads besides the text, so that a budget holds for `node.get_content(MetadataMode.LLM)`.

    What a template writes after the text goes to the front, on a line of its own: there it costs the same or more.
    """
    before, here, after = _with_text(node, _HERE).get_content(MetadataMode.LLM).partition(_HERE)
    if not here:  # the template leaves the text out
        return ""
    return f"{after}\n{before}" if after else before


def _related(node: BaseNode, kind: NodeRelationship) -> str:
    """The id of the source or parent, empty when there is none or more than one."""
    related = node.relationships.get(kind)
    return related.node_id if isinstance(related, RelatedNodeInfo) else ""


def _with_text(node: BaseNode, value: str) -> BaseNode:
    if isinstance(node, Node):
        resource = node.text_resource or MediaResource()
        return node.model_copy(update={"text_resource": resource.model_copy(update={"text": value})})
    if isinstance(node, TextNode):
        return node.model_copy(update={"text": value})
    other = node.model_copy(deep=True)  # of an unknown class only the setter is known, which writes in place
    other.set_content(value)
    return other


def _cut(node: BaseNode, kept: Passage) -> BaseNode:
    pieces, ranged = _origin(node)
    spans = [part for span in kept.spans for part in _through(pieces, span)]
    cut = hidden(_with_text(node, kept.text), SPANS, [[span.start, span.end] for span in spans])
    if not (ranged and spans):
        return cut
    return cut.model_copy(update={"start_char_idx": spans[0].start, "end_char_idx": spans[-1].end})


def _origin(node: BaseNode) -> tuple[tuple[Span, ...], bool]:
    """The ranges that the node's text consists of, and whether they are ranges of the source document."""
    size = len(text(node))
    start, end = getattr(node, "start_char_idx", None), getattr(node, "end_char_idx", None)
    earlier = _earlier(node)
    if earlier and sum(span.end - span.start for span in earlier) + len(earlier) - 1 == size:
        return earlier, start == earlier[0].start
    if isinstance(start, int) and isinstance(end, int) and end - start == size:
        return (Span(start, end),), True
    return (Span(0, size),), False


def _earlier(node: BaseNode) -> tuple[Span, ...]:
    """The ranges that an earlier cut left, empty when there was none."""
    written: Any = node.metadata.get(SPANS)
    try:
        return tuple(Span(int(start), int(end)) for start, end in written)
    except (TypeError, ValueError):
        return ()


def _through(pieces: Sequence[Span], span: Span) -> Iterator[Span]:
    """What `span` of a text covers of the `pieces` that the text consists of, one character between them."""
    at = 0
    for piece in pieces:
        low, high = max(span.start, at), min(span.end, at + piece.end - piece.start)
        if low < high:
            yield Span(piece.start + low - at, piece.start + high - at)
        at += piece.end - piece.start + 1
