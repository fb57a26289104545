from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ragthrift.tokens import Approximate, render
from ragthrift.types import Passage, Span
from ragthrift_bench.context.arms import Kept, Knob, Task
from ragthrift_bench.context.baselines import bm25, fill, pack, units_of
from ragthrift_bench.context.measure import evidence_kept, offset_error, score
from ragthrift_bench.context.run import brackets, gold_context, plan_of
from ragthrift_bench.harness.rows import DataSet, Row, load


@pytest.fixture
def data(rows_file: Path) -> DataSet:
    return load(str(rows_file))


def task_of(row: Row, budget: int) -> Task:
    counter = Approximate()
    return Task(row.question, row.passages, budget, counter.count(render(row.passages)), counter)


def test_a_context_is_measured_as_it_is_rendered(data: DataSet):
    row = data.rows[0]
    kept = Passage("It was founded by Ada Nore in 1871.", id="mill", title="Blue Mill", index=0, spans=(Span(30, 65),))
    assert row.passages[0].text[30:65] == kept.text
    found = score(row, task_of(row, 12), Kept((kept,), scored_pairs=4))
    assert (found.tokens, found.overrun) == (12, 0.0)  # 45 characters: the title and its line break count
    assert (found.answer_in_context, found.joint_evidence, found.evidence_recall) == (1.0, 1.0, 1.0)
    assert (found.offset_error, found.scored_pairs) == (0.0, 4)
    assert score(row, task_of(row, 11), Kept((kept,))).overrun == 1.0


def test_half_of_the_evidence_is_not_all_of_it(data: DataSet):
    row = data.rows[1]
    found = score(row, task_of(row, 99), Kept((replace(row.passages[1], index=1),)))
    assert (found.joint_evidence, found.evidence_recall, found.answer_in_context) == (0.0, 0.5, 1.0)
    assert found.offset_error is None


def test_rows_without_an_answer_have_no_answer_to_lose(data: DataSet):
    found = score(data.rows[2], task_of(data.rows[2], 99), Kept(()))
    assert (found.answer_in_context, found.joint_evidence, found.tokens) == (None, None, 0)


@pytest.mark.parametrize(
    ("text", "spans", "wrong"),
    [
        ("One.", ((0, 4),), 0.0),
        ("One. […omitted…] Three.", ((0, 4), (10, 16)), 0.0),
        ("One. Three.", ((0, 4), (10, 16)), 0.0),
        ("One. and Three.", ((0, 4), (10, 16)), 1.0),
        ("One!", ((0, 4),), 1.0),
        ("One.", ((0, 40),), 1.0),
        ("Three. One.", ((0, 4), (10, 16)), 1.0),
        ("One. extra", ((0, 4),), 1.0),
    ],
)
def test_offsets_are_checked_against_the_source(text: str, spans: tuple[tuple[int, int], ...], wrong: float):
    source = [Passage("One. Two. Three.")]
    kept = Passage(text, index=0, spans=tuple(Span(*span) for span in spans))
    assert offset_error(source, [kept]) == wrong
    assert offset_error(source, [replace(kept, index=-1)]) == 1.0


def windowed(tmp_path: Path) -> Row:
    filler = "Nothing of note happened in that long and quiet year at all. " * 7
    text = f"{filler}Well then. The bridge over the river Tern was opened by Queen Maud in the spring of 1903. {filler}"
    start = text.index("The bridge")
    assert start < 448 < 512 < start + 79
    row = {
        "id": "w",
        "question": "Who opened it?",
        "answers": ["Queen Maud"],
        "passages": [{"id": "p", "title": "T", "text": text}],
        "evidence": [
            {"passage": "p", "text": "The bridge over the river Tern was opened by Queen Maud in the spring of 1903."}
        ],
    }
    file = tmp_path / "w.jsonl"
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return load(f"{file}:untitled").rows[0]


def test_evidence_across_two_windows_needs_both(tmp_path: Path):
    row = windowed(tmp_path)
    first, second = (replace(passage, index=at) for at, passage in enumerate(row.passages[:2]))
    assert evidence_kept(row, [first], first.text) == [False]
    assert evidence_kept(row, [second], second.text) == [False]
    assert evidence_kept(row, [first, second], f"{first.text}\n\n{second.text}") == [True]


def test_windows_are_covered_by_spans_or_by_text(tmp_path: Path):
    row = windowed(tmp_path)
    first, second = row.passages[:2]
    at = first.text.index("The bridge")
    head = Passage(first.text[at:], index=0, spans=(Span(at, len(first.text)),))
    end = second.text.index("1903.") + 5
    tail = Passage(second.text[:end], index=1, spans=(Span(0, end),))
    assert evidence_kept(row, [head, tail], f"{head.text}\n\n{tail.text}") == [True]
    assert evidence_kept(row, [replace(head, spans=()), replace(tail, spans=())], f"{head.text}\n\n{tail.text}") == [
        True
    ]
    assert evidence_kept(row, [head], head.text) == [False]


def test_brackets_hold_everything_and_only_the_evidence(data: DataSet):
    plan = plan_of(data, data.rows, [0.25], Approximate())
    found = brackets(plan)
    assert found["bracket:full"][1.0]["joint_evidence"] == [1.0, 1.0, None]
    assert found["bracket:gold"][1.0]["joint_evidence"] == [1.0, 1.0, None]
    assert found["bracket:full"][1.0]["tokens"] == [float(size) for size in plan.full]
    assert [p.text for p in gold_context(data.rows[1])] == ["The Blue Mill stands in Tarn.", "The market is on Friday."]


def test_a_budget_is_a_share_rounded_down(data: DataSet):
    plan = plan_of(data, data.rows, [0.25, 1.0], Approximate())
    assert plan.task(0, 0.25).budget == plan.full[0] // 4
    assert plan.task(0, 1.0).budget == plan.full[0]


def test_baselines_never_go_over(data: DataSet):
    for row in data.rows:
        for budget in range(1, 60):
            task = task_of(row, budget)
            for kept in (fill(task, range(len(row.passages))), pack(task, units_of(task))):
                assert task.tokens(kept) <= budget
                assert offset_error(row.passages, kept) in (0.0, None)
    assert fill(task_of(data.rows[0], 10_000), [1, 0])[0].id == "oak"


def test_bm25_prefers_the_rare_word():
    scores = bm25("rare the", ["the the the", "the rare", "the"])
    assert scores.index(max(scores)) == 1
    assert bm25("none", ["a", "b"]) == [0.0, 0.0]
    assert bm25("x", []) == []


def test_matched_takes_the_largest_setting_that_fits(data: DataSet):
    row = data.rows[0]

    def run(task: Task, setting: float) -> Kept:
        return Kept((Passage("x" * int(setting), index=0),))

    knob = Knob(run, told=lambda task: 400, settings=lambda task: range(4, 401, 4))
    assert knob.matched(task_of(row, 30)).passages[0].text == "x" * 120
    assert knob.own(task_of(row, 30)).passages[0].text == "x" * 400
    assert len(replace(knob, ordered=False).matched(task_of(row, 30)).passages[0].text) == 120
    smallest = replace(knob, settings=lambda task: range(200, 401, 4))
    assert len(smallest.matched(task_of(row, 30)).passages[0].text) == 200
