"""Every arm of the suite, in the order of the report."""

from __future__ import annotations

from ragthrift_bench.context import baselines, frameworks, ours, packages
from ragthrift_bench.context.arms import Arm

ARMS: tuple[Arm, ...] = (*ours.ARMS, *baselines.ARMS, *frameworks.ARMS, *packages.ARMS)
