"""The context compressors that people can install today, used as their documentation shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from ragthrift.tokens import Tiktoken, label
from ragthrift.types import Passage, Span
from ragthrift_bench.context.arms import OWN, Arm, Keep, Kept, Knob, Task
from ragthrift_bench.context.models import Models

STEPS = 64
"""Settings that a search for matched tokens chooses from."""


def trimwise(models: Models) -> Keep:
    """`Trimmer.trim_context` with its default strategy for a query, `lexical`; titles are its source prefixes."""
    return _trimwise("lexical", _package("trimwise").Trimmer())


def trimwise_hybrid(models: Models) -> Keep:
    """`strategy="hybrid"` with MiniLM through its embedding callback."""
    models.embedder  # noqa: B018  # a missing model is found out before the run

    def embed(query: str, passages: Sequence[str]) -> tuple[object, list[object]]:
        return models.vectors([query], "query")[0], list(models.vectors(list(passages)))

    return _trimwise("hybrid", _package("trimwise").Trimmer(embedding_callback=embed))


def _trimwise(strategy: str, trimmer: Any) -> Keep:
    source: Any = _package("trimwise").ContextSource

    def keep(task: Task) -> Kept:
        result: Any = trimmer.trim_context(
            [source(text=passage.text, prefix=label(passage)) for passage in task.passages],
            limit=task.budget,
            query=task.question,
            strategy=strategy,
            separator="\n\n",
            token_counter=task.counter.count,
        )
        rows = [row for row in result.sources if row.text]
        return Kept(tuple(_excerpt(task.passages[int(row.source_index)], row) for row in rows))

    return keep


def _excerpt(passage: Passage, row: Any) -> Passage:
    spans = list(row.spans)
    return replace(
        passage,
        text=str(row.text),
        spans=tuple(Span(int(span.start), int(span.end)) for span in spans),
        index=int(row.source_index),
    )


def llmslim(models: Models) -> Knob:
    """`compress_documents` with its default, lexical relevance; a title is a heading line, which it ranks by."""
    return _llmslim({})


def llmslim_semantic(models: Models) -> Knob:
    """`relevance=` our cross-encoder as its custom scorer."""
    scorer = models.scorer

    def score(query: str, texts: Sequence[str]) -> list[float]:
        return list(scorer.score(query, texts))

    return _llmslim({"relevance": score})


def _llmslim(options: dict[str, Any]) -> Knob:
    compress: Any = _package("llmslim").compress_documents

    def run(task: Task, ratio: float) -> Kept:
        texts = [f"# {passage.title}\n{passage.text}" if passage.title else passage.text for passage in task.passages]
        full = [at for at, passage in enumerate(task.passages) if passage.text.strip()]
        results: Any = compress([texts[at] for at in full], query=task.question, target_ratio=ratio, **options)
        kept = (
            (at, _untitled(str(result.compressed_text), task.passages[at].title))
            for at, result in zip(full, results, strict=True)
        )
        return Kept(tuple(replace(task.passages[at], text=text, index=at) for at, text in kept if text))

    return Knob(run, told=lambda task: max(task.ratio, 1e-3), settings=_ratios)


def _untitled(text: str, title: str) -> str:
    """The text without the heading line that we put in: the harness writes every arm's title itself."""
    return text.removeprefix(f"# {title}").strip() if title else text.strip()


def ragcompress(models: Models) -> Knob:
    """`Compressor` with `FixedBudget` and its cross-encoder scorer, redundancy penalty included, on our models."""
    package: Any = _package("ragcompress")
    base: Any = import_module("ragcompress.scoring.cross_encoder").CrossEncoderScorer
    scorer = models.scorer
    models.embedder  # noqa: B018  # a missing model is found out before the run

    def relevance(self: object, query: str, texts: list[str]) -> object:
        return 1 / (1 + np.exp(-np.asarray(scorer.score(query, texts), dtype=np.float32)))

    def embed(self: object, texts: list[str]) -> object:
        return models.vectors(texts)

    local: Any = type("Local", (base,), {"_relevance_scores": relevance, "embed": embed})

    def run(task: Task, tokens: float) -> Kept:
        compressor: Any = package.Compressor(scorer=local(), budget=package.FixedBudget(max_tokens=max(1, int(tokens))))
        chunks = [
            package.Chunk(doc_id=passage.id, chunk_id=str(at), text=passage.text)
            for at, passage in enumerate(task.passages)
        ]
        texts: dict[int, list[str]] = {}
        for sentence in compressor.compress(task.question, chunks).sentences:
            texts.setdefault(int(sentence.source_chunk_id), []).append(str(sentence.text))
        return Kept(tuple(replace(task.passages[at], text=" ".join(parts), index=at) for at, parts in texts.items()))

    return Knob(
        run,
        told=lambda task: task.budget,
        settings=lambda task: [max(1, task.budget * step // STEPS) for step in range(1, STEPS + 1)],
    )


def _ratios(task: Task) -> list[float]:
    """Shares from a fraction of the budget's to somewhat above it: its own count runs under ours."""
    return [min(1.0, task.ratio * 1.5 * step / STEPS) for step in range(1, STEPS + 1)]


def _package(name: str) -> Any:
    """The package, with the token encodings that it would otherwise download already loaded from local files."""
    for encoding in ("o200k_base", "cl100k_base"):
        Tiktoken(encoding).count("")
    return import_module(name)


def _pair(
    name: str,
    build: Callable[[Models], Keep | Knob],
    *,
    pip: str,
    note: str,
    told: str,
    model: bool = False,
    heavy: bool = False,
) -> tuple[Arm, Arm]:
    """A rival at the tokens of the budget, and as it is when it is told the budget in its own terms."""
    return (
        Arm(name, build, model=model, heavy=heavy, pip=pip, note=note),
        Arm(f"{name}{OWN}", build, model=model, heavy=heavy, pip=pip, note=told, own=True),
    )


ARMS = (
    Arm("rival:trimwise", trimwise, pip="pip install trimwise==0.7.0", note="trim_context, lexical (its default)"),
    Arm(
        "rival:trimwise_hybrid",
        trimwise_hybrid,
        model=True,
        pip="pip install trimwise==0.7.0",
        note="trim_context, hybrid, MiniLM int8 through its callback",
    ),
    *_pair(
        "rival:llmslim",
        llmslim,
        pip="pip install llmslim==0.11.2",
        note="compress_documents, lexical, target_ratio searched",
        told="target_ratio = the share",
    ),
    *_pair(
        "rival:llmslim_semantic",
        llmslim_semantic,
        model=True,
        heavy=True,
        pip="pip install llmslim==0.11.2",
        note="compress_documents, cross-encoder relevance, target_ratio searched",
        told="target_ratio = the share",
    ),
    *_pair(
        "rival:ragcompress",
        ragcompress,
        model=True,
        pip="pip install ragcompress==0.1.0",
        note="cross-encoder with redundancy penalty (its default), max_tokens searched",
        told="max_tokens = the budget",
    ),
)
