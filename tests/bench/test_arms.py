from __future__ import annotations

from pathlib import Path

import pytest

from ragthrift.errors import ConfigurationError, MissingModel
from ragthrift.tokens import Tiktoken
from ragthrift_bench.context.arms import Arm, Kept, NotRun, choose, muster
from ragthrift_bench.context.measure import score
from ragthrift_bench.context.models import Models
from ragthrift_bench.context.registry import ARMS
from ragthrift_bench.context.run import plan_of
from ragthrift_bench.harness.rows import load


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::FutureWarning")
def test_every_arm_keeps_parts_of_its_pool(arm: Arm, models: Models, rows_file: Path):
    data = load(str(rows_file))
    plan = plan_of(data, data.rows[:2], [0.6], Tiktoken())
    keep, once = arm.ready(models), arm.once(models)
    for at, row in enumerate(plan.rows):
        task = plan.task(at, 0.6)
        kept = keep(task)
        assert all(0 <= passage.index < len(row.passages) for passage in kept.passages)
        assert all(passage.title == row.passages[passage.index].title for passage in kept.passages)
        assert keep(task).passages == kept.passages
        found = score(row, task, kept)
        assert found.offset_error in (0.0, None)
        if not arm.own and "llamaindex" not in arm.name:  # LlamaIndex keeps a sentence of every node at least
            assert found.overrun == 0.0
        assert kept.scored_pairs == 0 or arm.model
        assert once(task).passages == once(task).passages
        assert not kept.fell_back


def test_scored_pairs_are_counted_also_when_the_score_is_known(models: Models):
    before = models.pairs
    first = models.scorer.score("where is it?", ["here", "there", "here"])
    again = models.scorer.score("where is it?", ["there"])
    assert models.pairs - before == 4
    assert first[0] == first[2]
    assert first[1] == again[0]


def test_an_arm_that_misses_something_is_listed():
    def gone(models: Models) -> object:
        raise MissingModel("the model 'x' is not here: run: ragthrift models x\nmore")

    def absent(models: Models) -> object:
        raise ModuleNotFoundError("No module named 'trimwise'")

    def fine(models: Models) -> object:
        return lambda task: Kept(())

    arms = [Arm("rival:a", gone), Arm("rival:b", absent, pip="pip install trimwise"), Arm("rival:c", fine)]  # type: ignore[arg-type]
    roster = muster(arms, Models())
    assert list(roster.ready) == ["rival:c"]
    assert roster.not_run == [
        NotRun("rival:a", "the model 'x' is not here: run: ragthrift models x"),
        NotRun("rival:b", "No module named 'trimwise'", "pip install trimwise"),
    ]


def test_arms_are_chosen_by_glob():
    assert [arm.name for arm in choose(ARMS, "ragthrift:lex*, bm25_topk")] == ["ragthrift:lexical", "rival:bm25_topk"]
    assert len(choose(ARMS, "*")) == len(ARMS)
    with pytest.raises(ConfigurationError, match="--arms 'nothing' matches no arm; there are: ragthrift:lexical"):
        choose(ARMS, "nothing")


def test_names_are_unique_and_say_whose_they_are():
    names = [arm.name for arm in ARMS]
    assert len(set(names)) == len(names)
    assert all(name.startswith(("ragthrift:", "rival:")) for name in names)
    assert all(arm.note for arm in ARMS)
