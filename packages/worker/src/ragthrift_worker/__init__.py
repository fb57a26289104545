"""A rerank and embedding server that speaks the dialects of Cohere, Jina, TEI and OpenAI."""

from __future__ import annotations

from ragthrift_worker.app import app

__all__ = ["app"]
