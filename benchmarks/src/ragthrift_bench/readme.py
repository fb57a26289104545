"""`python -m ragthrift_bench readme`: writes the measured table between the markers of a page.

The table is made from a results file and from nothing else, so that a number on the page is a number that was run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ragthrift.errors import DataError
from ragthrift_bench.context.arms import OWN
from ragthrift_bench.harness.results import write_text

BEGIN = "<!-- bench:context -->"
END = "<!-- /bench:context -->"
BUDGET = 0.25
SETS = {"rag_hotpotqa": "HotpotQA", "rag_nq20_rebuilt": "Natural Questions, 20 passages", "embedded": "our own set"}
METRICS = {"joint_evidence": "all evidence kept", "answer_in_context": "answer still there", "tokens_used": "tokens"}
BRACKETS = {"bracket:full": "everything, uncut", "bracket:gold": "the evidence alone"}

Cells = Mapping[tuple[str, str, str], Mapping[str, Any]]


def main(arguments: Sequence[str]) -> int:
    """0 when the page was written, or with `--check` when it already says what the results say."""
    parser = argparse.ArgumentParser("python -m ragthrift_bench readme", description=main.__doc__)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/context.json"))
    parser.add_argument("--page", type=Path, default=Path("README.md"))
    parser.add_argument("--check", action="store_true", help="change nothing, fail when the page is out of date")
    given = parser.parse_args(list(arguments))
    try:
        results = cast("Mapping[str, Any]", json.loads(given.results.read_text(encoding="utf-8")))
        page = given.page.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the results or the page: {error}") from error
    new = filled(page, results)
    if given.check and new != page:
        sys.stderr.write(f"{given.page} is out of date: run python -m ragthrift_bench readme\n")
        return 1
    if not given.check:
        write_text(given.page, new)
    return 0


def filled(page: str, results: Mapping[str, Any]) -> str:
    """The page with the table of `results` between its markers."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise DataError(f"the page has no {BEGIN} … {END} to write between")
    return f"{head}{BEGIN}\n{table(results)}\n{END}{tail}"


def table(results: Mapping[str, Any]) -> str:
    """A Markdown table per set: what each way of cutting keeps at a quarter of the tokens, with 95 % intervals."""
    cells: Cells = {
        (row["data"], row["arm"], row["metric"]): row
        for row in results["rows"]
        if not row["at"].keys() - {"budget"} and (row["at"].get("budget") == BUDGET or row["arm"] in BRACKETS)
    }
    parts = [part for data, title in SETS.items() for part in _of_set(cells, data, title)]
    source = f"commit {results['commit']}, {str(results['date'])[:10]}" if results["commit"] else str(results["date"])
    return "\n".join([*parts, f"From `python -m ragthrift_bench context`, {source}; 95 % intervals in brackets."])


def _of_set(cells: Cells, data: str, title: str) -> Iterator[str]:
    metrics = [metric for metric in METRICS if any(d == data and m == metric for d, _, m in cells)]
    arms = dict.fromkeys(arm for d, arm, metric in cells if d == data and metric in metrics and _shown(arm))
    if not arms:
        return
    rows = max(int(cells[key]["n"]) for key in cells if key[0] == data)
    yield f"| {title}, {rows} questions, 25 % of the tokens | " + " | ".join(METRICS[m] for m in metrics) + " |"
    yield "|---|" + "--:|" * len(metrics)
    for arm in sorted(arms, key=_order):
        numbers = (_number(cells.get((data, arm, metric))) for metric in metrics)
        yield f"| {_name(arm)} | " + " | ".join(numbers) + " |"
    yield ""


def _shown(arm: str) -> bool:
    return arm.startswith(("ragthrift:", "rival:", "bracket:")) and not arm.endswith(OWN)


def _order(arm: str) -> int:
    """Ours, then the others in the order of the run, then the brackets."""
    return 0 if arm.startswith("ragthrift:") else 2 if arm in BRACKETS else 1


def _name(arm: str) -> str:
    kind, _, name = arm.partition(":")
    return f"**ragthrift** {name}" if kind == "ragthrift" else BRACKETS.get(arm, name.replace("_", " "))


def _number(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    share = row["unit"] == "share"
    values = [float(row["value"]), *(float(end) for end in row["ci"] or ())]
    texts = [f"{100 * value:.1f}" if share else f"{value:,.0f}" for value in values]
    text = f"{texts[0]} %" if share else texts[0]
    return f"{text} ({texts[1]}–{texts[2]})" if len(texts) == 3 else text
