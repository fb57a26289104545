"""The event that tells what an engine did to a list of nodes. It reaches every handler of LlamaIndex's dispatcher."""

from __future__ import annotations

from typing import Any

from llama_index.core.instrumentation.events import BaseEvent
from pydantic import Field

from ragthrift.types import Lean


class LeanEvent(BaseEvent):
    """What was kept and dropped of a list of nodes, and what that saved; sent right after `ReRankEndEvent`.

    Token counts are of the rendered text and None where the engine failed and the nodes went through as they were.
    `lean` is the engine's full result, with the receipt of every decision; it is left out when the event is dumped.
    """

    engine: str
    tokens_before: int | None = None
    tokens_after: int | None = None
    kept: list[str] = Field(default_factory=list[str])
    dropped: list[str] = Field(default_factory=list[str])
    fallbacks: list[str] = Field(default_factory=list[str])
    scored_pairs: int = 0
    elapsed_ms: float = 0.0
    shadow: bool = False
    abstained: bool = False
    lean: Any = Field(default=None, exclude=True, repr=False)

    @classmethod
    def class_name(cls) -> str:
        """The name of the event in dumps."""
        return "LeanEvent"

    @classmethod
    def of(cls, engine: str, lean: Lean) -> LeanEvent:
        """The event of one result."""
        return cls(
            engine=engine,
            tokens_before=lean.tokens_before,
            tokens_after=lean.tokens_after,
            kept=[passage.id for passage in lean.kept],
            dropped=[passage.id for passage in lean.dropped],
            fallbacks=list(lean.receipt.fallbacks),
            scored_pairs=lean.receipt.scored_pairs,
            elapsed_ms=lean.receipt.elapsed_ms,
            shadow=lean.receipt.shadow,
            abstained=lean.abstained,
            lean=lean,
        )
