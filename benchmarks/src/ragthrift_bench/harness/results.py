"""The result format that every suite writes."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ragthrift_bench.harness.stats import Estimate

Unit = Literal["share", "tokens", "count", "ms", "us", "usd", "points", "area"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of one arm on one set, its 95 % interval and how many questions are behind it."""

    arm: str
    data: str
    data_sha256: str
    metric: str
    value: float
    ci: tuple[float, float] | None
    n: int
    unit: Unit
    at: Mapping[str, float | int | str] = field(default_factory=dict[str, float | int | str])

    @classmethod
    def of(
        cls,
        arm: str,
        data: str,
        sha256: str,
        metric: str,
        estimate: Estimate,
        unit: Unit,
        at: Mapping[str, float | int | str],
    ) -> Cell:
        """The cell of an estimate."""
        return cls(arm, data, sha256, metric, estimate.value, (estimate.low, estimate.high), estimate.n, unit, at)

    def json(self) -> dict[str, object]:
        """The row of the results file."""
        return {
            "arm": self.arm,
            "data": self.data,
            "data_sha256": self.data_sha256,
            "at": dict(self.at),
            "metric": self.metric,
            "value": _rounded(self.value),
            "ci": None if self.ci is None else [_rounded(end) for end in self.ci],
            "n": self.n,
            "unit": self.unit,
        }


def header(suite: str, seconds: float) -> dict[str, object]:
    """What a results file says about itself: which code, when, on what, how long."""
    return {
        "suite": suite,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "gpu": None, "python": platform.python_version()},
        "seconds": round(seconds, 1),
    }


def write_json(file: Path, content: Mapping[str, object]) -> None:
    """Write `content` whole or not at all."""
    write_text(file, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write `text` beside the file, then put it in its place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.part")
    half.write_text(text, encoding="utf-8")
    half.replace(file)


def commit() -> str:
    """The commit of the code that runs, empty when it does not run from a checkout."""
    try:
        out = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return out.stdout.strip()


def cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
