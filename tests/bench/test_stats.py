from __future__ import annotations

import math

import numpy as np
import pytest

from ragthrift_bench.harness.stats import Bootstrap, area, holm


def test_the_interval_of_a_share_is_close_to_the_textbook():
    values = [1.0] * 80 + [0.0] * 20
    estimate = Bootstrap(100, seed=1).mean(values)
    assert estimate is not None
    half = 1.96 * math.sqrt(0.8 * 0.2 / 100)
    assert estimate.value == pytest.approx(0.8)
    assert estimate.low == pytest.approx(0.8 - half, abs=0.015)
    assert estimate.high == pytest.approx(0.8 + half, abs=0.015)
    assert estimate.n == 100


def test_the_same_seed_gives_the_same_interval():
    values = [number**1.5 for number in range(50)]
    assert Bootstrap(50, seed=3).mean(values) == Bootstrap(50, seed=3).mean(values)
    assert Bootstrap(50, seed=3).mean(values) != Bootstrap(50, seed=4).mean(values)


def test_missing_values_are_left_out():
    estimate = Bootstrap(4, seed=0).mean([1.0, None, 0.0, None])
    assert estimate is not None
    assert (estimate.value, estimate.n) == (0.5, 2)
    assert Bootstrap(2, seed=0).mean([None, None]) is None
    assert Bootstrap(0, seed=0).mean([]) is None


def test_a_paired_difference_is_tighter_than_its_parts():
    random = np.random.default_rng(0)
    hard = random.random(400)
    ours = [float(x > 0.40) for x in hard]
    theirs = [float(x > 0.45) for x in hard]
    draw = Bootstrap(400, seed=0)
    gap = draw.difference(ours, theirs)
    alone = draw.mean(ours)
    assert gap is not None
    assert alone is not None
    assert gap.low > 0
    assert gap.p < 0.01
    assert gap.high - gap.low < alone.high - alone.low


def test_shuffled_labels_differ_by_chance_only():
    random = np.random.default_rng(5)
    draw = Bootstrap(200, seed=0)
    labels = [float(x) for x in random.random(200) < 0.5]
    wrong = 0
    for _ in range(60):
        shuffled = list(random.permutation(labels))
        gap = draw.difference(labels, shuffled)
        assert gap is not None
        assert gap.value == pytest.approx(0.0)
        wrong += not gap.low <= 0 <= gap.high
    assert wrong == 0  # the means are equal, so no interval may leave out zero


def test_independent_arms_are_called_different_about_one_time_in_twenty():
    random = np.random.default_rng(6)
    draw = Bootstrap(150, seed=0, resamples=2000)
    called = 0
    for _ in range(200):
        a, b = (random.random(150) < 0.6).astype(float), (random.random(150) < 0.6).astype(float)
        gap = draw.difference(list(a), list(b))
        assert gap is not None
        called += gap.p < 0.05
    assert 2 <= called <= 22


def test_ratio_of_means():
    draw = Bootstrap(3, seed=0)
    ratio = draw.ratio([1.0, 0.0, 1.0], [1.0, 1.0, 1.0])
    assert ratio is not None
    assert ratio.value == pytest.approx(2 / 3)
    assert draw.ratio([1.0, 1.0, 1.0], [0.0, 0.0, 0.0]) is None


def test_holm():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}


def test_area_is_the_mean_height_over_the_log_of_the_share():
    assert area([(0.05, 0.5), (1.0, 0.5)]) == pytest.approx(0.5)
    assert area([(0.1, 0.0), (1.0, 1.0)]) == pytest.approx(0.5)
    assert area([(0.01, 1.0), (0.1, 1.0), (1.0, 0.0)]) == pytest.approx(0.75)
    assert area([(0.1, 1.0)]) is None
