"""Promises about lost evidence: the arithmetic, and that they are kept on rows that were not used to make them."""

from __future__ import annotations

import math
import random

import pytest

from ragthrift.compress import Certificate, Compressor, Labelled, calibrate
from ragthrift.compress.calibrate import certify, clopper_pearson_upper
from ragthrift.errors import ConfigurationError, RemoteError
from ragthrift.testing import FixedScorer, HashEmbedder
from ragthrift.types import Passage, Span

# One-sided upper bounds: for no errors 1 - (1 - confidence) ** (1 / trials), the rest from tables of the beta
# distribution.
BOUNDS = [
    (0, 10, 0.95, 0.258866),
    (0, 149, 0.95, 0.019905),
    (1, 10, 0.95, 0.394163),
    (5, 100, 0.95, 0.102253),
    (2, 20, 0.975, 0.316983),
    (10, 10, 0.95, 1.0),
    (9, 10, 0.95, 0.994884),
]


@pytest.mark.parametrize(("errors", "trials", "confidence", "bound"), BOUNDS)
def test_the_bound_is_that_of_clopper_and_pearson(errors, trials, confidence, bound):
    assert clopper_pearson_upper(errors, trials, confidence) == pytest.approx(bound, abs=2e-6)


def test_the_largest_worth_that_keeps_the_promise_is_taken():
    worths = [0.5] * 295 + [0.3, 0.2, 0.1, 0.05, 0.01]
    certificate = certify(worths, max_loss=0.02, confidence=0.95, models="lexical")
    assert (certificate.worth, certificate.rows, certificate.lost) == (0.05, 300, 1)
    assert certificate.bound == pytest.approx(clopper_pearson_upper(1, 300, 0.95))
    assert certificate.bound <= 0.02 < clopper_pearson_upper(2, 300, 0.95)


def test_the_bound_in_expectation_is_that_of_conformal_risk_control():
    certificate = certify([0.5] * 47 + [0.2, 0.1], max_loss=0.02, confidence=None, models="lexical")
    assert (certificate.worth, certificate.lost, certificate.bound) == (0.1, 0, 1 / 50)
    certificate = certify([0.5] * 97 + [0.2, 0.1], max_loss=0.02, confidence=None, models="lexical")
    assert (certificate.worth, certificate.lost, certificate.bound) == (0.2, 1, 2 / 100)


def test_equal_worths_lose_nothing():
    certificate = certify([0.5] * 500, max_loss=0.02, confidence=0.95, models="lexical")
    assert (certificate.worth, certificate.lost) == (0.5, 0)


@pytest.mark.parametrize(
    ("max_loss", "confidence", "least"),
    [(0.02, 0.95, 149), (0.05, 0.95, 59), (0.1, 0.9, 22), (0.02, None, 49), (0.1, None, 9), (0.5, None, 1)],
)
def test_too_few_rows_are_refused_with_the_number_that_is_needed(max_loss, confidence, least):
    with pytest.raises(ConfigurationError, match=f"at least {least} labelled rows, got {least - 1}"):
        certify([0.5] * (least - 1), max_loss=max_loss, confidence=confidence, models="lexical")
    assert certify([0.5] * least, max_loss=max_loss, confidence=confidence, models="lexical").lost == 0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_loss": 0}, "max_loss"),
        ({"max_loss": 1}, "max_loss"),
        ({"max_loss": math.nan}, "max_loss"),
        ({"confidence": 0}, "confidence"),
        ({"confidence": 1.0}, "confidence"),
        ({"confidence": math.nan}, "confidence"),
    ],
)
def test_a_promise_that_makes_no_sense_is_refused(settings, named):
    with pytest.raises(ConfigurationError, match=named):
        calibrate([], Compressor(budget=1.0), **settings)


NOUNS = "bridge tower river vault engine harbour museum garden library station castle market school temple".split()
VERBS = "opened closed burned moved sank grew froze".split()
FILLER = "People came. It rained. The mayor spoke for an hour. Some left early. A band played. Birds sang."


def rows(count, seed):
    """Questions whose evidence is one sentence in one of eight passages; one in ten asks with another verb."""
    pick = random.Random(seed)
    for _ in range(count):
        nouns, year = pick.sample(NOUNS, 8), pick.randint(1500, 2000)
        verbs = [pick.choice(VERBS) for _ in nouns]
        facts = [f"The {noun} {verb} in {year + n}." for n, (noun, verb) in enumerate(zip(nouns, verbs, strict=True))]
        passages = tuple(Passage(f"{FILLER} {fact} {FILLER}") for fact in facts)
        verb = pick.choice(VERBS) if pick.random() < 0.1 else verbs[0]
        at = passages[0].text.index(facts[0])
        order = list(range(8))
        pick.shuffle(order)
        yield Labelled(
            f"When was it that the {nouns[0]} {verb}?",
            tuple(passages[n] for n in order),
            ((order.index(0), Span(at, at + len(facts[0]))),),
        )


def lost(row, lean):
    held = {p.index: p for p in lean.kept}
    return any(
        index not in held
        or (held[index].spans and not any(s.start <= span.start and span.end <= s.end for s in held[index].spans))
        for index, span in row.evidence
    )


def test_the_promise_is_kept_on_rows_that_it_was_not_made_from():
    certificate = calibrate(rows(200, seed=1), Compressor(budget=1.0), max_loss=0.05)
    assert certificate.models == "lexical"
    compressor = Compressor(max_loss=0.05, certificate=certificate)
    unseen = list(rows(300, seed=2))
    leans = [compressor.lean(row.query, row.passages) for row in unseen]
    share = sum(lost(row, lean) for row, lean in zip(unseen, leans, strict=True)) / len(unseen)
    assert share <= 0.05
    assert sum(lean.saved for lean in leans) / len(leans) > 0.3


def test_a_budget_beside_the_promise_takes_the_smaller_context():
    certificate = calibrate(rows(60, seed=1), Compressor(budget=1.0), max_loss=0.05)
    for row in rows(20, seed=3):
        promised = Compressor(max_loss=0.05, certificate=certificate).lean(row.query, row.passages)
        both = Compressor(max_loss=0.05, certificate=certificate, budget=30).lean(row.query, row.passages)
        assert both.tokens_after <= min(30, promised.tokens_after)


def test_a_model_that_fails_voids_the_promise_and_everything_is_kept():
    class Fails:
        def score(self, query, texts):
            raise RuntimeError("down")

    certificate = Certificate(0.05, 0.9, 100, 0, 0.03, 0.95, "lexical+Fails")
    row = next(rows(1, seed=1))
    lean = Compressor(max_loss=0.05, certificate=certificate, scorer=Fails()).lean(row.query, row.passages)
    assert lean.receipt.fallbacks == ("scorer: RuntimeError: down",)
    assert all(d.kept or d.reason == "duplicate" for d in lean.receipt.decisions)


def test_a_model_that_fails_while_calibrating_is_an_error():
    class Fails:
        def score(self, query, texts):
            raise RuntimeError("down")

    with pytest.raises(RemoteError, match="every model: scorer: RuntimeError: down"):
        calibrate(rows(60, seed=1), Compressor(budget=1.0, scorer=Fails()))


def test_a_certificate_is_for_its_models_only():
    certificate = Certificate(0.02, 0.1, 500, 2, 0.015, 0.95, "lexical+HashEmbedder")
    Compressor(max_loss=0.02, embedder=HashEmbedder(), certificate=certificate)
    for models in ({}, {"scorer": FixedScorer([])}, {"embedder": HashEmbedder(), "scorer": FixedScorer([])}):
        with pytest.raises(ConfigurationError, match="calibrate again"):
            Compressor(max_loss=0.02, certificate=certificate, **models)
    with pytest.raises(ConfigurationError, match=r"no certificate for max_loss=0\.02 with lexical\+HashEmbedder"):
        Compressor(max_loss=0.02, embedder=HashEmbedder())


def test_rows_without_evidence_say_nothing():
    blank = Labelled("What?", (Passage("Text."),), ())
    with pytest.raises(ConfigurationError, match="got 0"):
        calibrate([blank] * 500, Compressor(budget=1.0))
