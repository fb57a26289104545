"""The table that the readme command writes."""

import json

import pytest

from ragthrift.errors import DataError
from ragthrift_bench.__main__ import main
from ragthrift_bench.readme import filled

PAGE = "# Title\n<!-- bench:context -->\nold\n<!-- /bench:context -->\nEnd.\n"


def _row(arm, metric, value, ci=None, *, unit="share", budget=0.25, data="rag_hotpotqa", n=60):
    at = {} if budget is None else {"budget": budget}
    return {"arm": arm, "data": data, "at": at, "metric": metric, "value": value, "ci": ci, "n": n, "unit": unit}


RESULTS = {
    "suite": "context",
    "commit": "abc123",
    "date": "2030-01-02T03:04:05+00:00",
    "rows": [
        _row("bracket:full", "joint_evidence", 1.0, [1.0, 1.0], budget=1.0),
        _row("rival:bm25_topk", "joint_evidence", 0.5, [0.45, 0.553]),
        _row("rival:bm25_topk", "joint_evidence", 0.1, [0.05, 0.2], budget=0.1),
        _row("rival:bm25_topk~own", "joint_evidence", 0.4, [0.3, 0.5]),
        _row("ragthrift:lexical", "joint_evidence", 0.85, [0.8, 0.9]),
        _row("ragthrift:lexical", "tokens_used", 1234.4, [1200, 1300], unit="tokens"),
        _row("ragthrift:lexical", "latency_p50_ms", 3.0, unit="ms"),
        _row("chain:mine", "joint_evidence", 0.9),
    ],
}

TABLE = """# Title
<!-- bench:context -->
| HotpotQA, 60 questions, 25 % of the tokens | all evidence kept | tokens |
|---|--:|--:|
| **ragthrift** lexical | 85.0 % (80.0–90.0) | 1,234 (1,200–1,300) |
| bm25 topk | 50.0 % (45.0–55.3) | – |
| everything, uncut | 100.0 % (100.0–100.0) | – |

From `python -m ragthrift_bench context`, commit abc123, 2030-01-02; 95 % intervals in brackets.
<!-- /bench:context -->
End.
"""


def test_ours_first_then_rivals_then_brackets_at_a_quarter_of_the_tokens():
    assert filled(PAGE, RESULTS) == TABLE
    assert filled(TABLE, RESULTS) == TABLE


def test_the_command_writes_the_page_and_checks_it(tmp_path, capsys):
    page, results = tmp_path / "README.md", tmp_path / "context.json"
    page.write_text(PAGE, encoding="utf-8")
    results.write_text(json.dumps(RESULTS), encoding="utf-8")
    given = ["readme", "--results", str(results), "--page", str(page)]
    assert main([*given, "--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == PAGE
    assert main(given) == 0
    assert page.read_text(encoding="utf-8") == TABLE
    assert main([*given, "--check"]) == 0


def test_missing_markers_and_missing_results_are_said(tmp_path, capsys):
    with pytest.raises(DataError, match="the page has no <!-- bench:context -->"):
        filled("# Title\n", RESULTS)
    assert main(["readme", "--results", str(tmp_path / "none.json")]) == 1
    assert "error: cannot read the results or the page" in capsys.readouterr().err
