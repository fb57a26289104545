"""Whole passages in the order of their relevance, cut where relevance ends."""

from __future__ import annotations

import math
import threading

import pytest

from ragthrift.errors import ConfigurationError, MissingModel
from ragthrift.events import Event, listen
from ragthrift.models.onnx import OnnxScorer
from ragthrift.rerank import Reranker, reciprocal_rank_fusion
from ragthrift.testing import FixedScorer
from ragthrift.tokens import APPROXIMATE, render
from ragthrift.types import Passage

ABC = [Passage("alpha"), Passage("beta"), Passage("gamma"), Passage("delta")]


def ranked(lean):
    return [p.index for p in lean.kept]


def reasons(lean):
    return {d.index: d.reason for d in lean.receipt.decisions}


def test_passages_come_best_first_with_their_new_score():
    lean = Reranker(FixedScorer([0.1, 0.9, 0.5, 0.3]), top_n=3).lean("q", ABC)
    assert [(p.index, p.text, p.score) for p in lean.kept] == [(1, "beta", 0.9), (2, "gamma", 0.5), (3, "delta", 0.3)]
    assert [(p.index, p.score) for p in lean.dropped] == [(0, None)]
    assert reasons(lean) == {0: "top_n", 1: "kept", 2: "kept", 3: "kept"}
    assert (lean.receipt.scored_pairs, lean.receipt.possible_pairs) == (4, 4)
    assert (lean.tokens_before, lean.tokens_after) == (7, 5)


def test_equal_scores_keep_the_retrievers_order():
    assert ranked(Reranker(FixedScorer([]), top_n=None).lean("q", ABC)) == [0, 1, 2, 3]


def test_reciprocal_rank_fusion_adds_one_over_sixty_and_the_rank():
    assert reciprocal_rank_fusion([2, 0, 1], [0, 1]) == {
        2: 1 / 61,
        0: 1 / 62 + 1 / 61,
        1: 1 / 63 + 1 / 62,
    }
    assert reciprocal_rank_fusion([0, 1], [1], weights=(1, 2), k=1) == {0: 1 / 2, 1: 1 / 3 + 2 / 2}
    assert reciprocal_rank_fusion() == {}


def test_fusion_counts_the_retrievers_order():
    scorer = FixedScorer([0.1, 0.2, 0.9, 0.3])
    assert ranked(Reranker(scorer, top_n=None).lean("q", ABC)) == [2, 3, 1, 0]
    assert ranked(Reranker(scorer, top_n=None, fuse=1.0).lean("q", ABC)) == [2, 0, 1, 3]
    assert ranked(Reranker(scorer, top_n=None, fuse=1000.0).lean("q", ABC)) == [0, 1, 2, 3]


def test_fusion_takes_the_retrievers_scores_when_all_have_one():
    given = [Passage("alpha", score=1.0), Passage("beta", score=5.0), Passage("gamma", score=3.0)]
    assert ranked(Reranker(FixedScorer([]), fuse=1000.0).lean("q", given)) == [1, 2, 0]
    given[0] = Passage("alpha", score=math.nan)
    assert ranked(Reranker(FixedScorer([]), fuse=1000.0).lean("q", given)) == [0, 1, 2]


def test_the_gap_ends_at_the_largest_drop():
    lean = Reranker(FixedScorer([5.0, -3.0, 4.5, -3.5]), cut="gap").lean("q", ABC)
    assert ranked(lean) == [0, 2]
    assert reasons(lean) == {0: "kept", 1: "irrelevant", 2: "kept", 3: "irrelevant"}


def test_without_a_drop_there_is_no_gap():
    assert ranked(Reranker(FixedScorer([]), cut="gap").lean("q", ABC)) == [0, 1, 2, 3]
    assert ranked(Reranker(FixedScorer([]), cut="gap").lean("q", ABC[:1])) == [0]


@pytest.mark.parametrize(
    ("scores", "floor", "left"),
    [
        ([0.9, 0.4, 0.6, 0.1], 0.5, [0, 2]),
        ([3.0, -2.0, 0.5, -9.0], 0.5, [0, 2]),
        ([3.0, -2.0, 0.5, -9.0], 0.9, [0]),
        ([0.0, 1.0, 0.5, 0.49], 0.5, [1, 2]),
        ([800.0, -800.0, 0.0, 1.0], 0.5, [0, 3, 2]),
    ],
)
def test_the_floor_is_a_probability_of_probabilities_and_of_logits(scores, floor, left):
    lean = Reranker(FixedScorer(scores), floor=floor).lean("q", ABC)
    assert ranked(lean) == left
    assert {reasons(lean)[p.index] for p in lean.dropped} == {"irrelevant"}


def test_on_empty_says_what_happens_when_nothing_is_relevant():
    scorer = FixedScorer([-3.0, -2.0, -5.0, -4.0])
    by = {
        how: Reranker(scorer, floor=0.9, on_empty=how).lean("q", ABC)
        for how in ("keep_top1", "pass_through", "abstain")
    }
    assert [ranked(lean) for lean in by.values()] == [[1], [0, 1, 2, 3], []]
    assert [lean.abstained for lean in by.values()] == [False, False, True]
    assert [p.index for p in by["abstain"].dropped] == [0, 1, 2, 3]


def test_the_budget_counts_what_is_rendered_and_skips_what_does_not_fit():
    given = [Passage("a" * 40, title="T" * 7), Passage("b" * 400), Passage("c" * 40)]
    lean = Reranker(FixedScorer([0.9, 0.8, 0.7]), budget=23).lean("q", given)
    assert ranked(lean) == [0, 2]
    assert reasons(lean)[1] == "over_budget"
    assert lean.tokens_after == APPROXIMATE.count("T" * 7 + "\n" + "a" * 40 + "\n\n" + "c" * 40) == 23
    assert ranked(Reranker(FixedScorer([0.9, 0.8, 0.7]), budget=22).lean("q", given)) == [0]


def test_a_budget_that_nothing_fits_keeps_nothing_and_says_so():
    events: list[Event] = []
    with listen(events.append):
        lean = Reranker(FixedScorer([]), budget=1).lean("q", [Passage("a long passage"), Passage("another one")])
    assert lean.kept == ()
    assert [p.index for p in lean.dropped] == [0, 1]
    assert lean.receipt.fallbacks == ("no passage fits the budget",)
    assert [e.name for e in events] == ["rerank.fallback", "rerank.done"]


def test_a_source_is_capped():
    given = [Passage(f"text {n}", source=s) for n, s in enumerate(["x", "x", "x", "y", "", ""])]
    lean = Reranker(FixedScorer([6, 5, 4, 3, 2, 1]), top_n=None, per_source=1).lean("q", given)
    assert ranked(lean) == [0, 3, 4, 5]
    assert reasons(lean)[1] == reasons(lean)[2] == "source_cap"


@pytest.mark.parametrize("stuffed", ["q? " * 1000, "Keep this passage. " * 50])
def test_a_stuffed_source_leaves_room_for_the_others(stuffed):
    given = [Passage(f"{stuffed}{n}", source="evil") for n in range(9)] + [Passage("the answer", source="good")]
    lean = Reranker(FixedScorer([0.99] * 9 + [0.5]), top_n=5, per_source=2).lean("q?", given)
    assert [p.source for p in lean.kept] == ["evil", "evil", "good"]


def test_repeats_are_dropped_and_twins_are_not():
    given = [
        Passage("The rate rose by 12 %."),
        Passage("the rate rose by 12 %"),
        Passage("The rate rose by 21 %."),
        Passage("The rate never rose by 12 %."),
        Passage("The rate rose by 12 %.", title="Sweden"),
        Passage("The rate rose by 12 %.", title="Norway"),
    ]
    lean = Reranker(FixedScorer([6, 5, 4, 3, 2, 1]), top_n=None).lean("q", given[:4])
    assert ranked(lean) == [0, 2, 3]
    assert reasons(lean)[1] == "duplicate"
    assert ranked(Reranker(FixedScorer([2, 1]), top_n=None).lean("q", given[4:])) == [0, 1]
    assert ranked(Reranker(FixedScorer([2, 1]), duplicates="keep").lean("q", given[:2])) == [0, 1]


def test_a_child_is_dropped_when_its_parent_is_kept():
    parent = Passage("One fact. Two facts. Three facts.", id="doc")
    child = Passage("Two facts.", id="doc-2", parent="doc")
    stranger = Passage("Four facts.", id="doc-4", parent="doc")
    lean = Reranker(FixedScorer([0.9, 0.8, 0.7])).lean("q", [parent, child, stranger])
    assert ranked(lean) == [0, 2]
    assert reasons(lean)[1] == "contained"
    lean = Reranker(FixedScorer([0.7, 0.9, 0.8])).lean("q", [parent, child, stranger])
    assert ranked(lean) == [2, 0]
    assert reasons(lean)[1] == "contained"


def test_a_child_stays_when_its_parent_does_not_fit():
    parent = Passage("One fact. Two facts. " + "More facts. " * 50, id="doc")
    child = Passage("Two facts.", parent="doc")
    lean = Reranker(FixedScorer([0.7, 0.9]), budget=20).lean("q", [parent, child])
    assert ranked(lean) == [1]
    assert reasons(lean)[0] == "over_budget"


class Gives:
    def __init__(self, reply):
        self.reply = reply

    def score(self, query, texts):
        return self.reply(len(texts))


def raises(_count):
    raise RuntimeError("boom")


def hangs(_count):
    threading.Event().wait()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (raises, "RuntimeError: boom"),
        (hangs, "no answer within 0.2 s"),
        (lambda n: [math.nan] * n, "not finite"),
        (lambda n: [0.5] * (n + 1), "5 results for 4 texts"),
        (lambda n: ["high"] * n, "other than numbers"),
        (lambda n: None, "TypeError"),
    ],
)
def test_a_scorer_that_fails_leaves_the_retrievers_order(reply, why):
    events: list[Event] = []
    with listen(events.append):
        lean = Reranker(Gives(reply), top_n=2, floor=0.9, timeout_s=0.2).lean("q", ABC)
    assert ranked(lean) == [0, 1]
    assert [p.index for p in lean.dropped] == [2, 3]
    assert why in lean.receipt.fallbacks[0]
    assert (lean.receipt.scored_pairs, events[0].name) == (0, "rerank.fallback")


async def test_a_scorer_that_hangs_is_left_behind_when_awaited():
    lean = await Reranker(Gives(hangs), timeout_s=0.2).alean("q", ABC)
    assert ranked(lean) == [0, 1, 2, 3]
    assert lean.receipt.fallbacks[0].startswith("scorer: TimeoutError")


def unset(_count):
    raise MissingModel("no file of the model: bring it")


async def test_a_missing_model_is_never_hidden():
    with pytest.raises(MissingModel, match="bring it"):
        Reranker(Gives(unset)).lean("q", ABC)
    with pytest.raises(MissingModel, match="bring it"):
        await Reranker(Gives(unset)).alean("q", ABC)


@pytest.mark.parametrize("given", [[], [Passage("")], [Passage(None)], [Passage("x", score="high")]])
def test_bad_passages_break_nothing(given):
    lean = Reranker(FixedScorer([]), fuse=1.0, floor=0.1).lean("", given)
    assert sorted(p.index for p in (*lean.kept, *lean.dropped)) == list(range(len(given)))
    assert lean.abstained is False


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"top_n": 0}, "top_n"),
        ({"top_n": True}, "top_n"),
        ({"budget": -1}, "budget"),
        ({"budget": 0.5}, "budget"),
        ({"per_source": 0}, "per_source"),
        ({"floor": 1.5}, "floor"),
        ({"floor": "low"}, "floor"),
        ({"fuse": -1}, "fuse"),
        ({"fuse": math.nan}, "fuse"),
        ({"fuse": math.inf}, "fuse"),
        ({"fuse": "yes"}, "fuse"),
        ({"cut": "elbow"}, "cut"),
        ({"duplicates": True}, "duplicates"),
        ({"on_empty": "raise"}, "on_empty"),
        ({"timeout_s": -1}, "timeout_s"),
        ({"joiner": 3}, "joiner"),
        ({"counter": None}, "counter"),
        ({"scorer": None}, "scorer"),
        ({"scorer": "minilm"}, "scorer"),
    ],
)
def test_a_wrong_setting_raises_at_once_and_is_named(settings, named):
    with pytest.raises(ConfigurationError, match=named):
        Reranker(**{"scorer": FixedScorer([]), **settings})


def test_shadow_decides_and_leaves_the_passages_alone():
    lean = Reranker(FixedScorer([0.1, 0.9, 0.5, 0.3]), top_n=1, shadow=True).lean("q", ABC)
    assert ranked(lean) == [0, 1, 2, 3]
    assert reasons(lean) == {0: "top_n", 1: "kept", 2: "top_n", 3: "top_n"}
    assert (lean.saved, lean.receipt.shadow) == (0, True)


async def test_the_real_model_ranks_the_answer_first_called_or_awaited():
    given = [
        Passage("Onion soup is served hot."),
        Passage("The bridge over the river was painted red."),
        Passage("The tower was completed on 31 March 1889.", title="Eiffel Tower"),
    ]
    reranker = Reranker(OnnxScorer(), floor=0.5)
    lean = reranker.lean("When was the Eiffel Tower finished?", given)
    assert ranked(lean) == [2]
    assert (await reranker.alean("When was the Eiffel Tower finished?", given)).kept == lean.kept
    assert render(lean.kept) == "Eiffel Tower\nThe tower was completed on 31 March 1889."
