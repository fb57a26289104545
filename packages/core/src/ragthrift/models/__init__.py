"""Embedders and scorers behind one seam: lexical, ONNX, torch, hosted, and the catalogue that names local models.

Importing this package loads no model library; a back-end is imported when its name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ragthrift.models.base import Embedder, Role, Scorer, SpanScorer, Vector, aembed, ascore

if TYPE_CHECKING:
    from ragthrift.models.cached import CachedEmbedder, CachedScorer
    from ragthrift.models.calibrate import Calibrated, calibrated, fit_platt
    from ragthrift.models.catalogue import locate
    from ragthrift.models.download import fetch
    from ragthrift.models.http import CohereScorer, JinaScorer, TeiScorer, VoyageScorer
    from ragthrift.models.lexical import Lexical
    from ragthrift.models.onnx import OnnxEmbedder, OnnxScorer
    from ragthrift.models.torch import TorchEmbedder, TorchScorer

__all__ = [
    "CachedEmbedder",
    "CachedScorer",
    "Calibrated",
    "CohereScorer",
    "Embedder",
    "JinaScorer",
    "Lexical",
    "OnnxEmbedder",
    "OnnxScorer",
    "Role",
    "Scorer",
    "SpanScorer",
    "TeiScorer",
    "TorchEmbedder",
    "TorchScorer",
    "Vector",
    "VoyageScorer",
    "aembed",
    "ascore",
    "calibrated",
    "fetch",
    "fit_platt",
    "locate",
]

_HOMES = {
    "cached": ("CachedEmbedder", "CachedScorer"),
    "calibrate": ("Calibrated", "calibrated", "fit_platt"),
    "catalogue": ("locate",),
    "download": ("fetch",),
    "http": ("CohereScorer", "JinaScorer", "TeiScorer", "VoyageScorer"),
    "lexical": ("Lexical",),
    "onnx": ("OnnxEmbedder", "OnnxScorer"),
    "torch": ("TorchEmbedder", "TorchScorer"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
