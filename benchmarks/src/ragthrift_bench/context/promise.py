"""Whether a stated loss is kept: calibrated on the rows that tuning may use, measured on the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragthrift.compress import Certificate, Compressor, Labelled, calibrate
from ragthrift.errors import ConfigurationError
from ragthrift.tokens import TokenCounter, render
from ragthrift_bench.context.measure import evidence_kept
from ragthrift_bench.harness.labels import labelled
from ragthrift_bench.harness.results import Cell
from ragthrift_bench.harness.rows import DataSet, Row, split
from ragthrift_bench.harness.stats import Bootstrap

LOSSES = (0.02, 0.05, 0.1)
OWN, SHIPPED = "ragthrift:max_loss", "ragthrift:max_loss_shipped"
Column = list[float | None]


def promises(data: DataSet, counter: TokenCounter, draw: Bootstrap, rows: Sequence[Row]) -> Iterator[Cell]:
    """The loss measured on `rows` and the tokens kept, by a certificate of the set's own and by the shipped one.

    The set's own certificate holds in expectation, which a few hundred rows support; the shipped one with confidence.
    Where the tuning rows are too few for a loss, there is no certificate and no number. On a set whose tuning rows the
    engine's weights were fitted on, the set's own certificate is optimistic, because the scores know those rows.
    """
    tuning = labelled(split(data.rows, "tune"))
    for loss in LOSSES:
        for arm, certificate in ((OWN, _own(tuning, loss)), (SHIPPED, None)):
            if arm == OWN and certificate is None:
                continue
            lost, kept = _measured(rows, Compressor(max_loss=loss, certificate=certificate, counter=counter), counter)
            for metric, values in (("loss_measured", lost), ("tokens_share", kept)):
                estimate = draw.mean(values)
                if estimate is not None:
                    yield Cell.of(arm, data.name, data.sha256, metric, estimate, "share", {"max_loss": loss})


def _own(rows: Sequence[Labelled], loss: float) -> Certificate | None:
    try:
        return calibrate(rows, Compressor(budget=1.0), max_loss=loss, confidence=None)
    except ConfigurationError:  # too few rows
        return None


def _measured(rows: Sequence[Row], compressor: Compressor, counter: TokenCounter) -> tuple[Column, Column]:
    lost: Column = []
    share: Column = []
    for row in rows:
        lean = compressor.lean(row.question, row.passages)
        pieces = evidence_kept(row, lean.kept, render(lean.kept))
        whole = evidence_kept(row, row.passages, render(row.passages))
        lost.append(float(any(a and not b for a, b in zip(whole, pieces, strict=True))) if pieces else None)
        share.append(lean.tokens_after / max(1, counter.count(render(row.passages))))
    return lost, share
