"""Whole passages in the order of their relevance, cut where relevance ends."""

from ragthrift.rerank.fuse import reciprocal_rank_fusion
from ragthrift.rerank.reranker import Reranker

__all__ = ["Reranker", "reciprocal_rank_fusion"]
