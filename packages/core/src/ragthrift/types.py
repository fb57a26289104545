"""The shared nouns: a passage, where its kept text lies, and what a lean context keeps and drops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open range `[start, end)` of a passage's text, in Unicode code points."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved piece of text.

    `score` is the retriever's own, on any scale, None when it gave none. `source` names the document that the text
    was cut from and `start` the offset of the text in it. `parent` is the id of a larger passage that holds this one.
    `label` is what the prompt writes in front of the text (None: the title and a line break, if there is a title) and
    `tail` what it writes behind it, such as a closing tag; both count towards every budget.

    An engine fills `index` with the place of the passage in the list it was given (-1: not set), and `spans` with the
    ranges of the original text that `text` now consists of; no spans means that the text is whole.
    """

    text: str
    id: str = ""
    title: str = ""
    score: float | None = None
    source: str = ""
    parent: str = ""
    start: int | None = None
    label: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object], repr=False, hash=False)
    index: int = -1
    spans: tuple[Span, ...] = ()
    tail: str = ""


Reason = Literal[
    "kept",
    "repair",  # pulled in because a kept unit needs it: antecedent, heading, header row
    "pass_through",  # nothing to win, everything was kept
    "over_budget",
    "irrelevant",  # below the floor, or after the adaptive cut
    "duplicate",
    "source_cap",
    "contained",  # its text is inside a kept parent
    "top_n",
]


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one unit of one passage, and why. A whole passage is one unit in a reranker's receipt."""

    index: int
    span: Span
    kept: bool
    reason: Reason
    score: float
    parts: Mapping[str, float] = field(default_factory=dict[str, float], repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a lean context came about: each decision, what failed open, how long it took, how much of a model it used."""

    decisions: tuple[Decision, ...] = ()
    fallbacks: tuple[str, ...] = ()
    scored_pairs: int = 0
    possible_pairs: int = 0
    elapsed_ms: float = 0.0
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Lean:
    """A lean context: what was kept, what was dropped, and the evidence for both.

    Token counts are of the rendered text: labels, joiners and metadata included. `abstained` says that nothing
    was kept: nothing looked relevant and the caller asked to be told so, or not one word fits the budget.
    """

    kept: tuple[Passage, ...]
    dropped: tuple[Passage, ...]
    tokens_before: int
    tokens_after: int
    receipt: Receipt = Receipt()
    abstained: bool = False

    @property
    def saved(self) -> float:
        """Share of tokens removed, 0 when there was nothing to remove."""
        return 1 - self.tokens_after / self.tokens_before if self.tokens_before else 0.0


@runtime_checkable
class Engine(Protocol):
    """Makes passages lean for a query, called or awaited with the same result.

    An engine keeps the `index` of a passage: the place of the passage in the list it was given.
    """

    def lean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """The lean context for `query`."""
        ...

    async def alean(self, query: str, passages: Sequence[Passage]) -> Lean:
        """`lean`, awaiting the models."""
        ...
