"""What LangChain and LlamaIndex bring themselves, used as their documentation shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from ragthrift.types import Passage
from ragthrift_bench.context.arms import OWN, Arm, Keep, Kept, Knob, Task
from ragthrift_bench.context.models import Models


def embeddings_filter(models: Models) -> Keep | Knob:
    """LangChain's `EmbeddingsFilter`: the `k` nearest documents, nearest first."""
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

    import_module("langchain_community.utils.math")  # EmbeddingsFilter imports it when it runs
    classic: Any = import_module("langchain_classic.retrievers.document_compressors")
    models.embedder  # noqa: B018  # a missing model is found out before the run

    class Local(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[float(x) for x in row] for row in models.vectors(texts)]

        def embed_query(self, text: str) -> list[float]:
            return [float(x) for x in models.vectors([text], "query")[0]]

    local = Local()

    def run(task: Task, k: float) -> Kept:
        documents = [
            Document(passage.text, metadata={"place": at, "title": passage.title})
            for at, passage in enumerate(task.passages)
        ]
        kept: Any = classic.EmbeddingsFilter(embeddings=local, k=int(k)).compress_documents(documents, task.question)
        places = [int(document.metadata["place"]) for document in kept]
        return Kept(tuple(replace(task.passages[at], index=at) for at in places))

    return Knob(
        run,
        told=lambda task: max(1, round(task.ratio * len(task.passages))),
        settings=lambda task: range(len(task.passages) + 1),  # k=0: nothing fits
    )


def sentence_embedding_optimizer(models: Models) -> Keep | Knob:
    """LlamaIndex's `SentenceEmbeddingOptimizer`: the nearest sentences of every node.

    Its default takes a sentence of context on either side of each; `matched` also tries it without, which is the only
    way for it to meet a small budget.
    """
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.postprocessor import SentenceEmbeddingOptimizer
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    models.embedder  # noqa: B018  # a missing model is found out before the run

    class Local(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return [float(x) for x in models.vectors([query], "query")[0]]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return [float(x) for x in models.vectors([text])[0]]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return [[float(x) for x in row] for row in models.vectors(texts)]

    local = Local()

    def run(task: Task, setting: float) -> Kept:
        wide = setting > 1  # 0..1 without neighbours, 1..2 with its default neighbours
        optimizer = SentenceEmbeddingOptimizer(
            embed_model=local,
            percentile_cutoff=setting - 1 if wide else setting,
            context_before=None if wide else 0,
            context_after=None if wide else 0,
        )
        nodes = [
            NodeWithScore(node=TextNode(text=passage.text, id_=str(at)))
            for at, passage in enumerate(task.passages)
            if passage.text.strip()  # it raises on a node without a sentence
        ]
        kept = optimizer.postprocess_nodes(nodes, QueryBundle(task.question))
        return Kept(tuple(_node(task.passages, int(item.node.node_id), item.node.get_content()) for item in kept))

    return Knob(
        run,
        told=lambda task: 1 + max(0.01, task.ratio),
        settings=lambda task: [step / 16 for step in range(1, 17)],
        ordered=False,  # a cutoff that rounds to no sentence at all keeps every sentence
    )


def _node(passages: Sequence[Passage], at: int, text: str) -> Passage:
    return replace(passages[at], text=text, index=at)


_FILTER = 'pip install "ragthrift-bench[rivals]"'
ARMS = (
    Arm(
        "rival:langchain_EmbeddingsFilter",
        embeddings_filter,
        model=True,
        pip=_FILTER,
        note="k nearest documents, the largest k that fits",
    ),
    Arm(
        f"rival:langchain_EmbeddingsFilter{OWN}",
        embeddings_filter,
        model=True,
        pip=_FILTER,
        note="k = share of the documents",
        own=True,
    ),
    Arm(
        "rival:llamaindex_SentenceEmbeddingOptimizer",
        sentence_embedding_optimizer,
        model=True,
        heavy=True,
        pip=_FILTER,
        note="percentile_cutoff searched, no neighbours",
    ),
    Arm(
        f"rival:llamaindex_SentenceEmbeddingOptimizer{OWN}",
        sentence_embedding_optimizer,
        model=True,
        pip=_FILTER,
        note="percentile_cutoff = the share, default neighbours",
        own=True,
    ),
)
