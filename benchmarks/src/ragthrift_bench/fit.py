"""Fits the evidence model of `ragthrift.compress` from labelled rows and writes its weights as Python source.

`python -m ragthrift_bench.fit --data embedded --data rag_hotpotqa --out weights.py` reads the rows of each set that
tuning may use, fits the four logistic models, certifies the losses that the package promises, and writes both. Every
set weighs the same, however many rows it has.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragthrift.compress.calibrate import Certificate, Labelled, certify, clopper_pearson_upper
from ragthrift.compress.compressor import Compressor
from ragthrift.compress.evidence import Logistic, Look, Weights, believe, bridge, first_look
from ragthrift.compress.pool import Pool, pool
from ragthrift_bench.harness.labels import labelled
from ragthrift_bench.harness.rows import load, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Rows = Sequence[Sequence[float]]

RIDGE = 1.0
"""L2 penalty on standardised weights: the strength at which folds of the tuning rows agreed."""
CONFIDENCE = 0.95
OVERLAP = 8
"""Characters of evidence that a unit must hold to count as evidence."""


@dataclass(frozen=True, slots=True)
class Example:
    """A pool with its first look, and which passages and units are needed; `weight` is that of each of its rows."""

    pool: Pool
    look: Look
    passages: tuple[bool, ...]
    units: tuple[bool, ...]
    weight: float


def main() -> None:
    """Fit, certify, write."""
    given = _parser().parse_args()
    sets = {name: labelled(split(load(name).rows, "tune")) for name in given.data}
    weights = fit([example(row, weight=200 / len(rows)) for rows in sets.values() for row in rows])
    compressor = Compressor(budget=1.0, weights=weights)
    worths = [[compressor.worth_needed(row) for row in rows] for rows in sets.values()]
    certificates = [strictest(worths, loss, compressor.models) for loss in given.max_loss]
    Path(given.out).write_text(source(weights, certificates, ", ".join(sets)), encoding="utf-8")


def strictest(worths: Sequence[Sequence[float]], loss: float, models: str) -> Certificate:
    """The certificate that holds for all rows together with confidence, and in expectation for each set by itself.

    A set that is too small for a promise of its own has no say.
    """
    together = [worth for some in worths for worth in some]
    pooled = certify(together, max_loss=loss, confidence=CONFIDENCE, models=models)
    alone = [
        certify(some, max_loss=loss, confidence=None, models=models) for some in worths if 1 / (len(some) + 1) <= loss
    ]
    worth = min(pooled.worth, *(one.worth for one in alone))
    lost = sum(one < worth for one in together)
    bound = clopper_pearson_upper(lost, len(together), CONFIDENCE)
    return replace(pooled, worth=worth, lost=lost, bound=bound)


def example(row: Labelled, *, weight: float = 1.0) -> Example:
    """The labelled pool of one question."""
    table = pool(row.query, row.passages)
    needed = tuple(
        any(
            p == candidate.passage
            and min(candidate.unit.end, span.end) - max(candidate.unit.start, span.start)
            >= min(OVERLAP, span.end - span.start)
            for p, span in row.evidence
        )
        for candidate in table.candidates
    )
    return Example(table, first_look(table), tuple(any(needed[c] for c in own) for own in table.of), needed, weight)


def fit(examples: Sequence[Example]) -> Weights:
    """The four models, the bridge models fitted on what the first two say about the same rows."""
    unfitted = Logistic((), 0.0)
    passage = logistic(*_stack((e.look.passages, e.passages, e.weight) for e in examples))
    unit = logistic(*_stack(_inside(e, e.look.units) for e in examples))
    first = Weights(passage, unit, unfitted, unfitted)
    bridges = [bridge(e.pool, e.look, believe(e.look, first)) for e in examples]
    return Weights(
        passage,
        unit,
        logistic(
            *_stack(
                (_joined(e.look.passages, rows), e.passages, e.weight)
                for e, (rows, _) in zip(examples, bridges, strict=True)
            )
        ),
        logistic(
            *_stack(_inside(e, _joined(e.look.units, rows)) for e, (_, rows) in zip(examples, bridges, strict=True))
        ),
    )


def logistic(rows: NDArray[np.float64], labels: NDArray[np.float64], weights: NDArray[np.float64]) -> Logistic:
    """Ridge logistic regression by Newton's method."""
    mean, scale = rows.mean(0), rows.std(0)
    scale[scale < 1e-9] = 1.0
    design = np.hstack([(rows - mean) / scale, np.ones((len(rows), 1))])
    penalty = np.full(design.shape[1], RIDGE)
    penalty[-1] = 0.0
    beta = np.zeros(design.shape[1])
    for _ in range(100):
        probability = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        gradient = design.T @ (weights * (labels - probability)) - penalty * beta
        curvature = (design * (weights * probability * (1 - probability))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(beta)), gradient)
        beta += step
        if float(np.abs(step).max()) < 1e-9:
            break
    plain = beta[:-1] / scale  # for features as they are, not standardised
    return Logistic(_row(plain), round(float(beta[-1] - plain @ mean), 5))


def source(weights: Weights, certificates: Sequence[Certificate], data: str) -> str:
    """The weights as the source of `ragthrift.compress.weights`."""
    lines = [
        '"""The fitted weights of the evidence model and the losses that it is certified for.',
        "",
        "Made by `python -m ragthrift_bench.fit` from the tuning rows of",
        f"{data}.",
        '"""',
        "",
        "from ragthrift.compress.calibrate import Certificate",
        "from ragthrift.compress.evidence import Logistic, Weights",
        "",
        "WEIGHTS = Weights(",
    ]
    for name in ("passage", "unit", "passage_bridge", "unit_bridge"):
        model: Logistic = getattr(weights, name)
        lines += [f"    {name}=Logistic(", "        weights=("]
        lines += [f"            {weight!r}," for weight in model.weights]
        lines += ["        ),", f"        bias={model.bias!r},", "    ),"]
    return "\n".join([*lines, ")", "", "CERTIFICATES = (", *(f"    {one!r}," for one in certificates), ")", ""])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ragthrift_bench.fit", description=__doc__)
    parser.add_argument("--data", action="append", required=True, help="a set, see the context suite; repeat for more")
    parser.add_argument("--max-loss", action="append", type=float, default=[0.02, 0.05, 0.1], help="losses to certify")
    parser.add_argument("--out", required=True, help="the file to write")
    return parser


def _inside(e: Example, rows: Rows) -> tuple[Rows, Sequence[bool], float]:
    """The units of needed passages only: the unit models are conditional on their passage."""
    inside = [c for c, candidate in enumerate(e.pool.candidates) if e.passages[candidate.passage]]
    return [rows[c] for c in inside], [e.units[c] for c in inside], e.weight


def _joined(left: Rows, right: Rows) -> Rows:
    return [(*a, *b) for a, b in zip(left, right, strict=True)]


def _stack(
    parts: Iterable[tuple[Rows, Sequence[bool], float]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    kept = [(rows, labels, weight) for rows, labels, weight in parts if rows]
    return (
        np.concatenate([np.asarray(rows, dtype=np.float64) for rows, _, _ in kept]),
        np.concatenate([np.asarray(labels, dtype=np.float64) for _, labels, _ in kept]),
        np.concatenate([np.full(len(labels), weight) for _, labels, weight in kept]),
    )


def _row(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)


if __name__ == "__main__":
    main()
