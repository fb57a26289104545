"""Makes RAG context lean: rerank, cut, compress under a hard token budget, with a receipt.

The names for everyday use are here. The engines are imported when their names are first used; nothing here loads a
model library, opens a connection or reads a file.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ragthrift.errors import (
    ConfigurationError,
    DataError,
    MissingExtra,
    MissingModel,
    RemoteError,
    SetupError,
    ThriftError,
)
from ragthrift.tokens import Approximate, Tiktoken, TokenCounter, Tokenizers, counter, render
from ragthrift.types import Decision, Lean, Passage, Receipt, Span

if TYPE_CHECKING:
    from ragthrift.compress import Certificate, Compressor, Labelled, calibrate
    from ragthrift.rerank import Reranker

__all__ = [
    "Approximate",
    "Certificate",
    "Compressor",
    "ConfigurationError",
    "DataError",
    "Decision",
    "Labelled",
    "Lean",
    "MissingExtra",
    "MissingModel",
    "Passage",
    "Receipt",
    "RemoteError",
    "Reranker",
    "SetupError",
    "Span",
    "ThriftError",
    "Tiktoken",
    "TokenCounter",
    "Tokenizers",
    "calibrate",
    "counter",
    "render",
]

_HOME = {
    "Certificate": "compress",
    "Compressor": "compress",
    "Labelled": "compress",
    "Reranker": "rerank",
    "calibrate": "compress",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
