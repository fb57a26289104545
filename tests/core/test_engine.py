"""What the engines share: plans, events, numbered passages, settings, facts."""

from __future__ import annotations

import logging
import math

import pytest

from ragthrift.compress import Compressor
from ragthrift.duplicates import Facts, Statement, fact, stems
from ragthrift.engine import check_choice, check_count, check_part, check_share, check_timeout, missing, numbered
from ragthrift.errors import ConfigurationError
from ragthrift.events import Event, emit, listen
from ragthrift.plan import arun, run
from ragthrift.rerank import Reranker
from ragthrift.testing import FixedScorer
from ragthrift.types import Engine, Lean, Passage


def adds(start):
    """A plan that asks for two numbers and adds them to `start`."""
    first = yield "first"
    second = yield f"after {first}"
    return start + first + second


def at_once():
    return "done"
    yield


async def test_a_plan_has_one_result_run_or_awaited():
    asked = []

    def answer(request):
        asked.append(request)
        return len(asked)

    async def aanswer(request):
        return answer(request)

    assert run(adds(10), answer) == 13
    assert asked == ["first", "after 1"]
    asked.clear()
    assert await arun(adds(10), aanswer) == 13
    assert run(at_once(), answer) == "done"
    assert await arun(at_once(), aanswer) == "done"


async def test_what_the_answering_side_raises_comes_out_of_the_plan():
    def answer(request):
        raise KeyError(request)

    async def aanswer(request):
        raise KeyError(request)

    with pytest.raises(KeyError, match="first"):
        run(adds(0), answer)
    with pytest.raises(KeyError, match="first"):
        await arun(adds(0), aanswer)


def test_every_listener_hears_every_event_while_it_listens():
    one: list[Event] = []
    other: list[Event] = []
    with listen(one.append):
        emit("a", n=1)
        with listen(other.append):
            emit("b")
    emit("c")
    assert one == [Event("a", {"n": 1}), Event("b", {})]
    assert other == [Event("b", {})]


def test_a_listener_that_fails_is_logged_and_breaks_nothing(caplog):
    def broken(event):
        raise RuntimeError("exporter down")

    heard: list[Event] = []
    with caplog.at_level(logging.WARNING), listen(broken), listen(heard.append):
        lean = Compressor(budget=5).lean("tower", [Passage("The tower opened in 1889 and closed in 1999.")])
    assert lean.kept
    assert [e.name for e in heard] == ["compress.fallback", "compress.done"]
    assert "exporter down" in caplog.text


def test_events_hold_no_text():
    heard: list[Event] = []
    with listen(heard.append):
        Reranker(FixedScorer([])).lean("secret question", [Passage("secret text")])
    assert "secret" not in repr(heard)
    assert set(heard[0].fields) == {"tokens_before", "tokens_after", "elapsed_ms", "scored_pairs", "shadow"}


def test_passages_are_numbered_and_the_callers_left_alone():
    given = [Passage("a", index=7), Passage(None, title=None, label=3, score="x"), Passage("b", score=1)]
    once = numbered(given)
    assert [(p.index, p.text, p.title, p.label, p.score) for p in once] == [
        (0, "a", "", None, None),
        (1, "", "", "", None),
        (2, "b", "", None, 1),
    ]
    assert given[0].index == 7
    assert given[1].text is None
    assert [p.index for p in missing(once, once[1:2])] == [0, 2]


def test_both_engines_are_engines():
    assert isinstance(Compressor(budget=1), Engine)
    assert isinstance(Reranker(FixedScorer([])), Engine)


def test_saved_is_a_share():
    assert Lean((), (), 200, 50).saved == 0.75
    assert Lean((), (), 0, 0).saved == 0.0


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan, "half", None, True])
def test_a_share_lies_between_zero_and_one(bad):
    with pytest.raises(ConfigurationError, match=r"floor must lie between 0 and 1"):
        check_share("floor", bad)


@pytest.mark.parametrize("bad", [0, -1, 1.0, True, "2"])
def test_a_count_is_a_whole_number(bad):
    with pytest.raises(ConfigurationError, match=r"top_n must be a whole number of at least 1, or None"):
        check_count("top_n", bad)


@pytest.mark.parametrize("good", [0, 0.0, 1, 0.5])
def test_good_settings_pass(good):
    check_share("floor", good)
    check_count("top_n", None)
    check_count("min_tokens", 0, least=0)
    check_timeout(None)
    check_timeout(0.1)
    check_choice("cut", "gap", ("none", "gap"))
    check_part("scorer", FixedScorer([]), "score")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The tower opened in 1889.", "the  TOWER opened, in 1889"),
        ("The tower isn't open.", "The tower is not open."),
        ("The tower isn’t open.", "The tower isn't open."),
        ("It has towers and bridges.", "It has tower and bridge."),
        ("世界の塔", "世界の塔。"),
        ("**Bold** claim", "Bold claim"),
        ("ﬁne towers", "fine towers"),
    ],
)
def test_the_same_fact_in_other_letters(one, other):
    assert fact(one) == fact(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("by 12 %", "by 21 %"),
        ("by 12 %", "by 12"),
        ("may", "may not"),
        ("can go", "can't go"),
        ("we can and they can't", "we can't and they can"),
        ("A sued B", "B sued A"),
        ("cost $5", "cost €5"),
        ("at -5", "at 5"),
        ("a<b", "a>b"),
        ("x = 5", "x != 5"),
        ("in C", "in C++"),
        ("in C#", "in C"),
        ("5 % of 3", "5 of 3 %"),
        ("10²", "102"),
        ("1/2 cup", "12 cup"),
        ("👍", "👎"),
        ("It is open.", "It is open?"),
        ("if (ready)", "if (!ready)"),
        ("---", "***"),
        ("v1.2", "v1.3"),
        ("", " "),
    ],
)
def test_facts_that_only_look_alike(one, other):
    assert fact(one) != fact(other)


def test_a_fact_is_one_only_about_the_same_thing():
    def said(text, title, heading):
        return Statement(text, stems(text), (title, heading))

    facts = Facts[int]()
    facts.add(said("It rose by 5 %.", "acme", "income"), 1)
    assert facts.find(said("It rose by 5 %.", "acme", "income")) == (1,)
    assert facts.find(said("it rose by 5 %", "acme", "")) == (1,)
    assert facts.find(said("It rose by 5 %.", "", "")) == (1,)
    assert facts.find(said("It rose by 5 %.", "bolt", "income")) == ()
    assert facts.find(said("It rose by 5 %.", "acme", "loss")) == ()
    assert facts.find(said("It rose by 5.", "acme", "income")) == ()
    assert facts.find(said("It rose by 6 %.", "acme", "income")) == ()
