"""What holds for any passages, any settings and any token counter. RAGTHRIFT_EXAMPLES sets how many cases are tried."""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import math
import os
import random
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ragthrift.compress import Compressor
from ragthrift.compress.evidence import believe, bridged, first_look
from ragthrift.compress.pool import pool
from ragthrift.compress.select import Limits, select
from ragthrift.compress.weights import WEIGHTS
from ragthrift.engine import numbered
from ragthrift.rerank import Reranker
from ragthrift.testing import FixedScorer, HashEmbedder
from ragthrift.tokens import APPROXIMATE, render
from ragthrift.types import Passage

spec = importlib.util.spec_from_file_location("ragthrift_fuzz", Path(__file__).with_name("fuzz.py"))
assert spec
assert spec.loader
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)

EXAMPLES = int(os.environ.get("RAGTHRIFT_EXAMPLES", "300"))
often = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
seldom = settings(often, max_examples=max(1, EXAMPLES // 4))

pieces = (
    st.sampled_from(fuzz.SENTENCES + fuzz.BLOCKS)
    | st.sampled_from(fuzz.WORDS)
    | st.text(st.characters(exclude_categories=[]), max_size=12)
)
texts = st.lists(pieces | st.sampled_from(fuzz.GLUE), max_size=14).map("".join) | st.sampled_from(
    ["", " ", "\n\n", "x" * 3000, "世" * 3000, "👍" * 500]
)
titles = st.just("") | st.sampled_from(["Ada Lovelace", "Elbe (river)", "埃菲尔铁塔", "\ud83d"]) | st.text(max_size=8)
passage = st.builds(
    Passage,
    texts,
    id=st.sampled_from(["", "a", "b"]),
    title=titles,
    score=st.none() | st.floats(),
    source=st.sampled_from(["", "s", "t"]),
    parent=st.sampled_from(["", "a"]),
    label=st.none() | st.sampled_from(["", "[1] ", "<doc>\n", "L" * 80]) | st.text(max_size=6),
    tail=st.sampled_from(["", "\n</doc>"]) | st.text(max_size=4),
    metadata=st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
pools = st.lists(passage, max_size=6).flatmap(
    lambda some: st.lists(st.sampled_from(some), max_size=2).map(lambda twice: some + twice) if some else st.just(some)
)
queries = st.sampled_from(fuzz.QUERIES) | st.lists(st.sampled_from(fuzz.WORDS), max_size=6).map(" ".join) | texts
budgets = st.integers(1, 40) | st.integers(1, 3000) | st.floats(0, 1, exclude_min=True)
scores = st.lists(st.floats(-10, 10), max_size=12) | st.lists(st.floats(0, 1), max_size=12)
joiners = st.sampled_from(fuzz.JOINERS) | st.text(max_size=3)
on_empty = st.sampled_from(["keep_top1", "pass_through", "abstain"])
shares = st.sampled_from([0.0, 0.01, 0.3, 1.0])

compressors = st.builds(
    Compressor,
    budget=budgets,
    scorer=st.none() | st.builds(FixedScorer, scores),
    embedder=st.none() | st.just(HashEmbedder(16)),
    counter=st.sampled_from(list(fuzz.COUNTERS.values())),
    joiner=joiners,
    order=st.sampled_from(["source", "edges", "score"]),
    on_empty=on_empty,
    floor=shares,
    per_source=st.sampled_from([0.3, 1.0]),
    scored_share=shares,
    min_tokens=st.sampled_from([0, 50]),
    timeout_s=st.none(),
)
rerankers = st.builds(
    Reranker,
    st.builds(FixedScorer, scores),
    top_n=st.none() | st.integers(1, 4),
    budget=st.none() | st.integers(1, 200),
    floor=shares,
    cut=st.sampled_from(["none", "gap"]),
    fuse=st.sampled_from([0.0, 0.5]),
    per_source=st.none() | st.integers(1, 2),
    duplicates=st.sampled_from(["drop", "keep"]),
    on_empty=on_empty,
    counter=st.sampled_from(list(fuzz.COUNTERS.values())),
    joiner=joiners,
    timeout_s=st.none(),
)


@often
@given(compressors | rerankers, queries, pools)
def test_every_promise_holds(engine: Compressor | Reranker, query: str, given: list[Passage]):
    """Budget, counts, offsets, order, decisions, structure: see `broken` in fuzz.py. Inputs stay as they were."""
    before = copy.deepcopy(given)
    lean = engine.lean(query, given)
    assert fuzz.broken(engine, query, given, lean) == []
    assert repr(given) == repr(before)
    assert not any("Error" in why for why in lean.receipt.fallbacks)
    assert fuzz.stable(engine.lean(query, tuple(given))) == fuzz.stable(lean)
    assert fuzz.stable(asyncio.run(engine.alean(query, given))) == fuzz.stable(lean)


@pytest.mark.parametrize("counter", list(fuzz.COUNTERS))
def test_random_contexts_break_no_promise(counter: str):
    seeds = range(list(fuzz.COUNTERS).index(counter), EXAMPLES * 3, len(fuzz.COUNTERS))
    loop = asyncio.new_event_loop()
    broken = {seed: found for seed in seeds if (found := fuzz.faults(seed, loop, again=seed % 4 == 0))}
    loop.close()
    assert broken == {}


@seldom
@given(queries, pools, st.floats(0, 1), st.floats(0, 1))
def test_a_lower_worth_keeps_a_superset(query: str, given: list[Passage], one: float, other: float):
    """What a certificate rests on. A larger budget has no such property: a long unit may displace two short ones."""
    passages = numbered(given)
    table = pool(query, passages)
    look = first_look(table)
    needed = bridged(table, look, believe(look, WEIGHTS), WEIGHTS).needed(table)

    def kept(worth: float) -> set[int]:
        limits = Limits(tokens=10**9, worth=worth)
        return select(table, passages, needed, limits, counter=APPROXIMATE, joiner="\n\n").kept

    assert kept(max(one, other)) <= kept(min(one, other))
    assert all(math.isfinite(p) and 0 <= p <= 1 for p in needed)


@seldom
@given(queries, pools, st.integers(1, 300))
def test_a_budget_for_everything_gives_everything_back(query: str, given: list[Passage], more: int):
    budget = APPROXIMATE.count(render(given)) + more
    lean = Compressor(budget=budget).lean(query, given)
    assert [p.text for p in lean.kept] == [p.text for p in given]
    assert lean.dropped == ()
    assert lean.saved == 0


words = st.text(string.ascii_lowercase, min_size=4, max_size=9)


@seldom
@given(st.lists(st.lists(words, min_size=3, max_size=9, unique=True), min_size=3, max_size=8), st.randoms())
def test_the_order_of_the_passages_matters_only_where_they_tie(bags: list[list[str]], shuffle: random.Random):
    """Of passages that look equally good the first counts as better; no other place is preferred."""
    given = [Passage(f"Entry {9 * number} tells of {' '.join(bag * number)}.") for number, bag in enumerate(bags, 1)]
    query = f"What does {bags[0][0]} {bags[0][1]} tell of {bags[1][0]}?"
    table = pool(query, given)
    look = first_look(table)
    first = believe(look, WEIGHTS)
    needed = bridged(table, look, first, WEIGHTS).needed(table)
    worth = [n / (c.unit.end - c.unit.start) ** 0.25 for n, c in zip(needed, table.candidates, strict=True)]
    ranked = [[row[0] for row in look.passages], [row[3] for row in look.passages], first.passages, worth]
    assume(all(len({round(value, 6) for value in values}) == len(values) for values in ranked))
    mixed = given.copy()
    shuffle.shuffle(mixed)
    budget = max(1, APPROXIMATE.count(render(given)) // 2)
    one, other = (Compressor(budget=budget).lean(query, some) for some in (given, mixed))
    assert {p.text for p in one.kept} == {p.text for p in other.kept}


@seldom
@given(st.sampled_from(fuzz.BLOCKS), texts, texts, st.integers(1, 60), st.sampled_from(list(fuzz.COUNTERS.values())))
def test_structure_is_whole_at_any_budget(block: str, before: str, after: str, budget: int, counter: object):
    text = f"{before}\n\n{block}\n\n{after}"
    lean = Compressor(budget=budget, counter=counter).lean("Elbe bridge ERR-4012 Ada built 1889", [Passage(text)])
    assert fuzz._structure(Compressor(budget=budget), "", [Passage(text)], lean) == []
