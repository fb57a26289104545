from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ragthrift_bench.__main__ import main
from ragthrift_bench.context import cli
from ragthrift_bench.context.registry import ARMS

FAST = "lexical,bm25_topk,truncate,trimwise,llmslim,llmslim~own"
VOID = {"meta", "br", "hr", "link", "img", "input", "i"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a quick run over the set that ships with the package."""
    out = tmp_path_factory.mktemp("results")
    assert main(["context", "--quick", "--arms", FAST, "--reader", "none", "--out", str(out)]) == 0
    return out


def load_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "context.json").read_text(encoding="utf-8"))


def test_the_results_have_the_common_format(finished: Path):
    content = load_json(finished)
    assert content["suite"] == "context"
    assert {"commit", "date", "machine", "seconds", "settings", "rows", "differences", "not_run"} <= content.keys()
    assert {"cpu", "cores", "gpu"} <= content["machine"].keys()
    for row in content["rows"]:
        assert row.keys() == {"arm", "data", "data_sha256", "at", "metric", "value", "ci", "n", "unit"}
        assert row["arm"].startswith(("ragthrift:", "rival:", "bracket:"))
        assert len(row["data_sha256"]) == 64
        assert row["n"] >= 1
        if row["unit"] == "share" and row["metric"] != "retained":
            assert 0 <= row["value"] <= 1
        if row["ci"] is not None:
            assert row["ci"][0] <= row["value"] + 1e-5
            assert row["value"] <= row["ci"][1] + 1e-5
    fixed = {"joint_evidence", "answer_in_context", "tokens_used", "overruns", "latency_p50_ms", "scored_pairs_share"}
    assert fixed <= {row["metric"] for row in content["rows"]}
    assert {row["at"]["budget"] for row in content["rows"] if row["arm"] == "ragthrift:lexical" and row["at"]} == {
        0.05, 0.1, 0.15, 0.25, 0.33, 0.5, 1.0,
    }  # fmt: skip


def test_nothing_of_ours_goes_over_or_lies_about_offsets(finished: Path):
    rows = load_json(finished)["rows"]
    faults = [
        row for row in rows if row["metric"] in ("overruns", "offset_errors") and row["arm"] == "ragthrift:lexical"
    ]
    assert {row["metric"] for row in faults} == {"overruns", "offset_errors"}
    assert all(row["value"] == 0 for row in faults)


def test_a_whole_budget_keeps_everything(finished: Path):
    rows = load_json(finished)["rows"]
    values = {
        (row["arm"], row["metric"]): row["value"]
        for row in rows
        if row["at"].get("budget") == 1.0 and row["metric"] in ("answer_in_context", "joint_evidence", "tokens_used")
    }
    for metric in ("answer_in_context", "joint_evidence", "tokens_used"):
        assert values["ragthrift:lexical", metric] == values["bracket:full", metric]
        assert values["rival:truncate", metric] == values["bracket:full", metric]


def test_differences_are_paired_with_the_best_rival(finished: Path):
    content = load_json(finished)
    values = {
        (row["arm"], row["metric"], row["at"]["budget"]): row["value"]
        for row in content["rows"]
        if "budget" in row["at"] and row["metric"] in ("answer_in_context", "joint_evidence")
    }
    assert content["differences"]
    for one in content["differences"]:
        at = (one["metric"], one["at"]["budget"])
        assert one["value"] == pytest.approx(values[one["arm"], *at] - values[one["rival"], *at], abs=1e-5)
        assert not one["rival"].endswith("~own")
        assert one["ci"][0] <= one["value"] <= one["ci"][1]
        assert one["p"] <= one["p_holm"] <= 1
        assert one["not_inferior_at_1_point"] == (one["ci"][0] >= -0.01)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.resources: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.resources += [
            f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "data", "srcset")
        ]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID and tag not in ("line", "circle", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_nothing_from_elsewhere(finished: Path):
    text = (finished / "context.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert [item for item in page.resources if "=#" not in item] == []
    assert "<link" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert not re.search(r"https?://", re.sub(r'<details class="question">.*', "", text, flags=re.S))
    assert text.count("<svg") >= 3
    assert "prefers-color-scheme: dark" in text


def test_the_page_escapes_what_users_wrote(rows_file: Path, tmp_path: Path):
    evil = rows_file.read_text(encoding="utf-8").replace("village", "<img src=x>")
    file = tmp_path / "a<b>&c.jsonl"
    file.write_text(evil.replace('"founder"', '"<script>alert(1)</script>"'), encoding="utf-8")
    out = tmp_path / "out"
    run = [
        "context",
        "--data",
        str(file),
        "--split",
        "all",
        "--arms",
        "truncate",
        "--reader",
        "none",
        "--out",
        str(out),
    ]
    assert main(run) == 0
    text = (out / "context.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "a&lt;b&gt;&amp;c" in text


def test_rows_of_a_users_set_hold_no_text(rows_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = ["context", "--data", str(rows_file), "--split", "all", "--arms", "lexical,truncate", "--reader", "none"]
    results = tmp_path / "results"
    assert main([*run, "--json", "--out", str(results)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["suite"] == "context"
    assert err == ""
    packed = (results / "context_rows.jsonl.gz").read_bytes()
    lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert {line["id"] for line in lines} == {"founder", "market", "moon"}
    assert len(lines) == 3 * (2 + 2 * 7)
    for file in results.iterdir():
        text = gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text(encoding="utf-8")
        assert "Ada Nore" not in text
        assert "Blue Mill" not in text


def start(out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "ragthrift_bench",
        "context",
        "--quick",
        "--arms",
        "lexical,llmslim,trimwise,bm25_topk",
    ]
    command += ["--reader", "none", "--budgets", "0.1,0.25", "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ))


def test_a_killed_run_goes_on(tmp_path: Path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    first = start(whole)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    journal = cut / ".journal-embedded.jsonl"
    running = start(cut)
    for _ in range(3000):
        if journal.is_file() and journal.read_text(encoding="utf-8").count("\n") >= 2:
            break
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert not (cut / "context.json").exists()
    before = journal.read_text(encoding="utf-8").splitlines()
    with journal.open("a", encoding="utf-8") as out:
        out.write('{"stamp": "half a li')
    again = start(cut, "--resume")
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert journal.read_text(encoding="utf-8").splitlines()[: len(before)] == before

    def numbers(folder: Path) -> list[object]:
        return [row for row in load_json(folder)["rows"] if row["unit"] not in ("ms", "usd")]

    assert numbers(cut) == numbers(whole)


def test_an_interrupt_keeps_the_arms_that_were_finished(
    rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    real = cli.measure

    def stopping(plan: Any, arm: Any, *args: Any, **kwargs: Any) -> Any:
        if arm.name == "rival:bm25_topk":
            raise KeyboardInterrupt
        return real(plan, arm, *args, **kwargs)

    monkeypatch.setattr(cli, "measure", stopping)
    run = ["context", "--data", str(rows_file), "--split", "all", "--arms", "truncate,random_sentences,bm25_topk"]
    assert main([*run, "--reader", "none", "--out", str(tmp_path)]) == 0
    assert "village is reported with 2 arms; --resume goes on from here" in capsys.readouterr().err
    arms = {row["arm"] for row in load_json(tmp_path)["rows"]}
    assert arms == {"bracket:full", "bracket:gold", "rival:truncate", "rival:random_sentences"}


def test_a_missing_rival_is_listed(
    rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "trimwise", None)  # as if it were not installed
    run = ["context", "--data", str(rows_file), "--split", "all", "--arms", "truncate,trimwise", "--reader", "none"]
    assert main([*run, "--out", str(tmp_path)]) == 0
    assert [(one["arm"], one["fix"]) for one in load_json(tmp_path)["not_run"]] == [
        ("rival:trimwise", "pip install trimwise==0.7.0")
    ]
    assert "not run: rival:trimwise" in capsys.readouterr().out
    assert "Not run" in (tmp_path / "context.html").read_text(encoding="utf-8")


def test_a_chain_is_compared_before_and_after(rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = Path(__file__).parent
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    run = ["context", "--data", str(rows_file), "--split", "all", "--arms", "truncate", "--reader", "none"]
    assert main([*run, "--chain", "chains:swap", "--out", str(tmp_path)]) == 0
    values = {(row["arm"], row["metric"]): row["value"] for row in load_json(tmp_path)["rows"]}
    assert values["chain:before", "reader_em"] == 0.5
    assert values["chain:after", "reader_em"] == 0.5
    assert values["chain:difference", "reader_em"] == 0.0
    assert values["chain:after", "context_tokens"] > 0
    assert "Your own chain" in (tmp_path / "context.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "suites: context"),
        (["nonsense"], 2, "suites: context"),
        (["context", "--budgets", "0,2"], 1, "--budgets '0,2': a share lies above 0 and is at most 1"),
        (["context", "--budgets", "many"], 1, "--budgets 'many'"),
        (["context", "--arms", "nothing"], 1, "--arms 'nothing' matches no arm"),
        (["context", "--data", "/nowhere.jsonl"], 1, "no data called '/nowhere.jsonl'"),
        (["context", "--reader", "gpt", "--arms", "truncate"], 1, "--reader 'gpt'"),
        (["context", "--chain", "x"], 1, "--chain 'x': expected module:object"),
        (
            ["context", "--counter", "words", "--arms", "truncate", "--reader", "none"],
            1,
            "unknown token counter 'words'",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(
    arguments: list[str], status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([*arguments, "--out", str(tmp_path)] if arguments[:1] == ["context"] else arguments) == status
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_every_arm_is_in_the_help_of_the_page(finished: Path):
    text = (finished / "context.html").read_text(encoding="utf-8")
    names = [arm.name for arm in cli.choose(ARMS, FAST)]
    assert len(names) == 6
    assert all(name in text for name in names)
