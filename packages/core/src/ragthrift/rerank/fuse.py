"""Several orders of the same passages made one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RRF_K = 60
"""The constant of Cormack, Clarke and Buettcher (SIGIR 2009), which their experiments found flat around 60."""


def reciprocal_rank_fusion(
    *orders: Sequence[int], weights: Sequence[float] | None = None, k: int = RRF_K
) -> dict[int, float]:
    """The fused score of every index that appears in an order, higher is better.

    Each order lists indices best first. It adds weight / (k + rank) to those it lists, ranks counted from 1.
    """
    scores: dict[int, float] = {}
    for order, weight in zip(orders, weights or [1.0] * len(orders), strict=True):
        for rank, index in enumerate(order, 1):
            scores[index] = scores.get(index, 0.0) + weight / (k + rank)
    return scores
