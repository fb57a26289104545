"""The arms of ragthrift itself, through its public names."""

from __future__ import annotations

from ragthrift.types import Lean
from ragthrift_bench.context.arms import Arm, Keep, Kept
from ragthrift_bench.context.models import Models


def lexical(models: Models) -> Keep:
    from ragthrift.compress import Compressor

    return lambda task: _kept(Compressor(budget=task.budget, counter=task.counter).lean(task.question, task.passages))


def embed(models: Models) -> Keep:
    from ragthrift.compress import Compressor

    embedder = models.embedder
    return lambda task: _kept(
        Compressor(budget=task.budget, counter=task.counter, embedder=embedder).lean(task.question, task.passages)
    )


def cascade(models: Models) -> Keep:
    from ragthrift.compress import Compressor

    scorer = models.scorer
    return lambda task: _kept(
        Compressor(budget=task.budget, counter=task.counter, scorer=scorer).lean(task.question, task.passages)
    )


def rerank(models: Models) -> Keep:
    from ragthrift.rerank import Reranker

    scorer = models.scorer
    return lambda task: _kept(
        Reranker(scorer, top_n=None, budget=task.budget, counter=task.counter).lean(task.question, task.passages)
    )


def _kept(lean: Lean) -> Kept:
    return Kept(lean.kept, abstained=lean.abstained, fell_back=bool(lean.receipt.fallbacks))


ARMS = (
    Arm("ragthrift:lexical", lexical, note="Compressor, no model"),
    Arm("ragthrift:embed", embed, model=True, note="Compressor with OnnxEmbedder"),
    Arm(
        "ragthrift:cascade", cascade, model=True, note="Compressor with OnnxScorer on the units that may change the cut"
    ),
    Arm("ragthrift:rerank", rerank, model=True, note="Reranker: whole passages under the budget"),
)
