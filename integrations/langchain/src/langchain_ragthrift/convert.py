"""Documents of LangChain as passages, and lean passages as documents again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.documents import Document
from langchain_core.prompts import BasePromptTemplate, format_document

from langchain_ragthrift._chain import through
from ragthrift.errors import ConfigurationError
from ragthrift.types import Lean, Passage, Span

PLACE = "\ue000ragthrift\ue000"
"""Stands in for a document's text while what the prompt writes around it is found out: private use characters."""


@dataclass(frozen=True, slots=True)
class Convert:
    """How documents become passages and lean passages become documents.

    The four keys name the metadata that hold a document's title, its source, the id of a larger document that holds
    it, and its offset in its source (what text splitters write with `add_start_index=True`); None for none.

    What the prompt writes around a document's text counts towards every budget: give the `document_prompt` that
    renders your documents, or a `label` that returns what stands before one. With neither, the text stands alone.

    A kept document is a copy with its id, class and metadata. Under `evidence_key` it carries which `[start, end)`
    ranges of its text were kept (`spans`), how relevant it looked (`score`: the reranker's or the retriever's score,
    else that of its best sentence) and to whom (`engine`). The score also stands under `score_key`, unless the
    document came with a value there that ragthrift, as its evidence shows, did not write: such a value is read as the
    retriever's score, and stays. None switches either key off.
    """

    title_key: str | None = "title"
    source_key: str | None = "source"
    parent_key: str | None = "parent_id"
    start_key: str | None = "start_index"
    document_prompt: BasePromptTemplate[str] | None = None
    label: Callable[[Document], str] | None = None
    evidence_key: str | None = "ragthrift"
    score_key: str | None = "relevance_score"

    def __post_init__(self) -> None:
        if self.document_prompt is not None and self.label is not None:
            raise ConfigurationError("give document_prompt or label, not both: each says what stands before the text")

    def passages(self, documents: Iterable[Document]) -> tuple[Passage, ...]:
        """One passage for each document, in order; nothing of the documents changes."""
        return tuple(self._passage(index, document) for index, document in enumerate(checked(documents)))

    def documents(self, lean: Lean, documents: Sequence[Document], engine: str = "") -> list[Document]:
        """Copies of the documents that were kept, each with its kept text and its evidence."""
        if lean.receipt.shadow:
            return [copied(document) for document in documents]
        best = _best(lean)
        if lost := [passage.index for passage in lean.kept if not 0 <= passage.index < len(documents)]:
            raise ConfigurationError(f"{engine} lost the index of a passage: {lost[0]!r} of {len(documents)} passages")
        return [self._document(passage, documents[passage.index], best, engine) for passage in lean.kept]

    def render(self, document: Document) -> str:
        """The document as the prompt holds it."""
        if self.document_prompt is not None:
            return format_document(document, self.document_prompt)
        return (self.label(document) if self.label else "") + document.page_content

    def _around(self, document: Document) -> tuple[str, str]:
        """What the prompt writes before and behind the text."""
        if self.document_prompt is None:
            return (self.label(document) if self.label else ""), ""
        rendered = format_document(document.model_copy(update={"page_content": PLACE}), self.document_prompt)
        before, _, behind = rendered.partition(PLACE)
        return before, behind

    def _passage(self, index: int, document: Document) -> Passage:
        metadata = cast("Mapping[str, object]", document.metadata or {})
        text = cast("str | None", document.page_content)
        before, behind = self._around(document)
        return Passage(
            text=text if isinstance(text, str) else "",
            id=document.id or "",
            title=_word(metadata, self.title_key),
            score=_number(metadata, self.score_key),
            source=_word(metadata, self.source_key),
            parent=_word(metadata, self.parent_key),
            start=_offset(metadata, self.start_key),
            label=before,
            tail=behind,
            metadata=metadata,
            index=index,
        )

    def _document(self, passage: Passage, given: Document, best: Mapping[int, float], engine: str) -> Document:
        score = passage.score if passage.score is not None else best.get(passage.index)
        before = cast("object", given.metadata.get(self.evidence_key)) if self.evidence_key else None
        earlier = cast("Mapping[str, Any]", before if isinstance(before, Mapping) else {})
        metadata: dict[Any, Any] = dict(given.metadata)
        if self.evidence_key:
            spans = _spans(passage, given, earlier)
            engines = "+".join(name for name in (str(earlier.get("engine", "")), engine) if name)
            metadata[self.evidence_key] = {
                "spans": [[span.start, span.end] for span in spans],
                "score": score,
                "engine": engines,
            }
        if self.score_key and score is not None:
            ours = earlier.get("score") is not None and earlier["score"] == metadata.get(self.score_key)
            if ours or self.score_key not in metadata:
                metadata[self.score_key] = score
        return copied(given, text=passage.text if passage.spans else None, metadata=metadata)


def checked(documents: Iterable[Document]) -> list[Document]:
    """The documents as a list; anything else in their place is named in the error."""
    if not isinstance(cast("object", documents), Iterable) or isinstance(cast("object", documents), str | Mapping):
        raise ConfigurationError(f"documents must be a list of Document, got {documents!r:.200}")
    listed = list(documents)
    for index, document in enumerate(listed):
        if not isinstance(cast("object", document), Document):
            raise ConfigurationError(f"documents[{index}] must be a Document, got {document!r:.200}")
    return listed


def copied(document: Document, *, text: str | None = None, metadata: dict[Any, Any] | None = None) -> Document:
    """A copy of the same class that shares no dictionary with `document`; with `text` and `metadata` where given."""
    update: dict[str, Any] = {"metadata": dict(document.metadata or {}) if metadata is None else metadata}
    state: object = getattr(document, "state", None)
    if isinstance(state, dict):  # langchain-community's stateful documents: `embedded_doc` is the vector of the text
        kept = cast("dict[str, Any]", state)
        update["state"] = {key: value for key, value in kept.items() if text is None or key != "embedded_doc"}
    if text is not None:
        update["page_content"] = text
    return document.model_copy(update=update)


def _spans(passage: Passage, given: Document, earlier: Mapping[str, Any]) -> Sequence[Span]:
    """The kept ranges of the text as it was before any engine of ours cut it."""
    spans = passage.spans or (Span(0, len(passage.text)),)
    try:
        outer = [Span(int(start), int(end)) for start, end in earlier.get("spans", ())]
    except (TypeError, ValueError):
        return spans
    # Someone may have edited the text since; then the earlier ranges mean nothing any more.
    length = sum(span.end - span.start for span in outer) + len(outer) - 1
    return through(outer, spans) if outer and length == len(given.page_content or "") else spans


def _best(lean: Lean) -> dict[int, float]:
    """The best score of a kept unit, by passage; none where nothing was scored."""
    best: dict[int, float] = {}
    for decision in lean.receipt.decisions:
        if decision.kept and decision.score:
            best[decision.index] = max(decision.score, best.get(decision.index, decision.score))
    return best


def _word(metadata: Mapping[str, object], key: str | None) -> str:
    value = metadata.get(key) if key else None
    return "" if value is None else str(value)


def _number(metadata: Mapping[str, object], key: str | None) -> float | None:
    value = metadata.get(key) if key else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _offset(metadata: Mapping[str, object], key: str | None) -> int | None:
    value = metadata.get(key) if key else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
