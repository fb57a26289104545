"""`SentenceTransformerRerank` with the parameters of LlamaIndex's, without what that one loses."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from llama_index_ragthrift._engine import EnginePostprocessor
from llama_index_ragthrift.convert import hidden, passage, text
from ragthrift.errors import ConfigurationError
from ragthrift.models import Calibrated, OnnxScorer, Scorer, TorchScorer, locate
from ragthrift.models.catalogue import CATALOGUE
from ragthrift.rerank import Reranker
from ragthrift.types import Engine, Passage

MAX_TOKENS = 512
"""Tokens of query and node that the model reads, as in LlamaIndex's class."""


class SentenceTransformerRerank(EnginePostprocessor):
    """Keeps the `top_n` nodes that a cross-encoder finds most relevant, best first.

    The parameters are those of LlamaIndex's class of this name. `model` is a model of the catalogue, run by ONNX
    Runtime on the CPU without torch (the default), or whatever sentence-transformers loads: a folder or a hub id, on
    `device`. It reads the same text, `MetadataMode.EMBED`, and the score is the same: the logistic curve of the logit,
    between 0 and 1, here for every model. The retriever's score, if kept, is `retrieval_score` in the metadata, where
    neither the LLM nor an embedding model reads it. Remote code is never run. A model that fails or takes longer than
    `timeout_s` leaves the retriever's order and scores.
    """

    model: str = Field(description="Name in the catalogue, or what sentence-transformers loads.")
    top_n: int = Field(description="Number of nodes to return sorted by score.")
    device: str | None = Field(description="Device for sentence-transformers, None for its own choice.")
    keep_retrieval_score: bool = Field(description="Whether to keep the retrieval score in metadata.")
    trust_remote_code: bool = Field(description="Accepted for compatibility; remote code is never run.")
    timeout_s: float | None = Field(description="Seconds that the model may take, None for no limit.")

    def __init__(
        self,
        top_n: int = 2,
        model: str = "ms-marco-MiniLM-L-12-v2-int8",
        device: str | None = None,
        keep_retrieval_score: bool = False,
        trust_remote_code: bool = False,
        *,
        timeout_s: float | None = 30.0,
    ) -> None:
        if trust_remote_code:
            warnings.warn("trust_remote_code=True has no effect: remote code is never run", UserWarning, stacklevel=2)
        fields: dict[str, Any] = {
            "top_n": top_n,
            "model": model,
            "device": device,
            "keep_retrieval_score": keep_retrieval_score,
            "trust_remote_code": False,
            "timeout_s": timeout_s,
        }
        super().__init__(**fields)
        self._reranker()  # a wrong setting shows here, not with the first query

    @classmethod
    def class_name(cls) -> str:
        """The name of the component in dumps."""
        return "SentenceTransformerRerank"

    def _reranker(self) -> Reranker:
        # Duplicates are a matter of the caller here: the number of nodes asked for is the number that comes back.
        return Reranker(Calibrated(self._scorer()), top_n=self.top_n, duplicates="keep", timeout_s=self.timeout_s)

    def _scorer(self) -> Scorer:
        if self.model in CATALOGUE:
            return OnnxScorer(self.model, max_tokens=MAX_TOKENS)
        return TorchScorer(self.model, device=self.device, max_tokens=MAX_TOKENS, batch=32)

    def _engine(self, bundle: QueryBundle) -> Engine:
        if self.model in CATALOGUE:
            locate(self.model)  # a model that was never fetched is a wrong set-up: say so instead of doing without
        return self._reranker()

    def _name(self) -> str:
        return self.model

    def _unasked(self, found: list[NodeWithScore]) -> list[NodeWithScore]:
        raise ConfigurationError("a cross-encoder needs the query: give query_bundle or query_str")

    def _passage(self, found: NodeWithScore) -> Passage:
        # The text alone decides, as in LlamaIndex's class: no title in front, no parent that swallows its children.
        return replace(passage(found), text=found.node.get_content(MetadataMode.EMBED), title="", parent="")

    def _restored(self, found: NodeWithScore, kept: Passage) -> NodeWithScore:
        out = super()._restored(found, replace(kept, text=text(found.node), spans=()))
        if not self.keep_retrieval_score:
            return out
        return out.model_copy(update={"node": hidden(out.node, "retrieval_score", found.score)})
