import math
import random

import pytest

from ragthrift.errors import ConfigurationError
from ragthrift.models import Calibrated, calibrated, fit_platt
from ragthrift.testing import FixedScorer, check_scorer


def drawn(slope, offset, n=4000, seed=1):
    rng = random.Random(seed)
    scores = [rng.uniform(-10, 10) for _ in range(n)]
    return scores, [rng.random() < 1 / (1 + math.exp(-(slope * s + offset))) for s in scores]


def test_the_true_curve_is_found():
    slope, offset = fit_platt(*drawn(0.7, -1.5))
    assert slope == pytest.approx(0.7, abs=0.06)
    assert offset == pytest.approx(-1.5, abs=0.15)


def test_scale_and_shift_of_the_scores_do_not_matter():
    scores, labels = drawn(0.7, -1.5, n=500)
    slope, offset = fit_platt(scores, labels)
    moved, shifted = fit_platt([1e6 + 1e3 * s for s in scores], labels)
    for score in (-5.0, 0.0, 5.0):
        assert moved * (1e6 + 1e3 * score) + shifted == pytest.approx(slope * score + offset, abs=1e-4)


def test_perfectly_separated_scores_stay_finite():
    slope, offset = fit_platt([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    assert 0 < slope < 100
    assert abs(offset) < 1


@pytest.mark.parametrize(
    ("scores", "labels", "complaint"),
    [
        ([], [], "got 0 scores, 0 true and 0 false labels"),
        ([1.0, 2.0], [1, 1], "got 2 scores, 2 true and 0 false labels"),
        ([1.0], [1, 0], "got 1 scores"),
        ([1.0, float("nan")], [1, 0], "finite scores"),
        ([3.0, 3.0], [1, 0], "all are 3.0"),
    ],
)
def test_data_that_cannot_be_fitted(scores, labels, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        fit_platt(scores, labels)


async def test_probabilities_sync_and_async():
    scorer = Calibrated(FixedScorer([0.0, 2.0, -1e9, 1e9]), slope=1.0, offset=0.0)
    assert scorer.score("q", list("abcd")) == pytest.approx([0.5, 0.8808, 0.0, 1.0], abs=1e-4)
    assert await scorer.ascore("q", list("abcd")) == scorer.score("q", list("abcd"))
    check_scorer(lambda: scorer)


@pytest.mark.parametrize(("slope", "offset"), [(0.0, 0.0), (-1.0, 0.0), (float("nan"), 0.0), (1.0, float("inf"))])
def test_wrong_curves(slope, offset):
    with pytest.raises(ConfigurationError, match="slope must be above 0"):
        Calibrated(FixedScorer([]), slope, offset)


def test_no_calibration_for_an_unknown_model():
    with pytest.raises(ConfigurationError, match="no calibration ships for ''"):
        calibrated(FixedScorer([]))
