from __future__ import annotations

from pathlib import Path

import pytest

from ragthrift.errors import ConfigurationError
from ragthrift.tokens import Approximate
from ragthrift_bench.context.chain import load_chains, run_chain
from ragthrift_bench.harness.journal import Journal
from ragthrift_bench.harness.rows import load

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    monkeypatch.syspath_prepend(str(HERE))


def run(spec: str, rows_file: Path, tmp_path: Path) -> dict[str, dict[str, list[float | None]]]:
    rows = load(str(rows_file)).rows
    journal = Journal(tmp_path / "journal.jsonl", "s")
    return {
        name: run_chain(name, ask, rows, Approximate(), journal, data="village", tick=lambda done: None)
        for name, ask in load_chains(spec).items()
    }


def test_a_langchain_runnable(rows_file: Path, tmp_path: Path):
    found = run("chains:runnable", rows_file, tmp_path)["chain"]
    assert found["reader_em"] == [1.0, 0.0, None]
    assert found["reader_f1"] == [1.0, 0.0, None]
    assert found["abstain_right"] == [1.0, 0.0, 1.0]
    assert found["context_tokens"] == [6.0, 6.0, 6.0]
    assert found["failed"] == [0.0, 0.0, 0.0]


def test_a_llamaindex_query_engine(rows_file: Path, tmp_path: Path):
    found = run("chains:engine", rows_file, tmp_path)["chain"]
    assert found["reader_em"] == [1.0, 0.0, None]
    assert found["context_tokens"] == [5.0, 5.0, 5.0]


def test_before_and_after(rows_file: Path, tmp_path: Path):
    found = run("chains:swap", rows_file, tmp_path)
    assert found["before"]["reader_em"] == [0.0, 1.0, None]
    assert found["after"]["reader_em"] == [1.0, 0.0, None]
    assert found["before"]["context_tokens"] == [None, None, None]


def test_a_function_builds_the_chain(rows_file: Path, tmp_path: Path):
    assert run("chains:build", rows_file, tmp_path)["chain"]["reader_em"][0] == 1.0


def test_a_chain_that_fails_scores_zero_and_is_counted(rows_file: Path, tmp_path: Path):
    found = run("chains:broken", rows_file, tmp_path)["chain"]
    assert found["failed"] == [1.0, 1.0, 1.0]
    assert found["reader_f1"] == [0.0, 0.0, None]
    assert found["abstain_right"] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("chains", "expected module:object"),
        ("nowhere_at_all:x", "cannot import 'nowhere_at_all'"),
        ("chains:nothing", "'chains' has no 'nothing'"),
        ("chains:HERE", "has no 'HERE'"),
        ("chains:KNOWN", "has neither `invoke` nor `query`"),
    ],
)
def test_a_chain_that_cannot_be_asked_is_a_configuration_error(spec: str, said: str):
    with pytest.raises(ConfigurationError, match=said):
        load_chains(spec)
