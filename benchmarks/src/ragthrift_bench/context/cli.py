"""The command line of the `context` suite, and the run behind it."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import ragthrift
from ragthrift import tokens
from ragthrift.errors import ConfigurationError, MissingExtra, MissingModel
from ragthrift_bench import context
from ragthrift_bench.context import chain as chains
from ragthrift_bench.context.arms import OWN, Arm, NotRun, Roster, choose, muster
from ragthrift_bench.context.models import Models
from ragthrift_bench.context.page import Block, Meta, render_page
from ragthrift_bench.context.promise import promises
from ragthrift_bench.context.reading import Read, read
from ragthrift_bench.context.registry import ARMS
from ragthrift_bench.context.run import (
    BUDGETS,
    CLOSED,
    FULL,
    GOLD,
    PRIMARY,
    Measured,
    Plan,
    brackets,
    measure,
    plan_of,
    texts,
    timed,
)
from ragthrift_bench.context.summary import Prices, Summary
from ragthrift_bench.harness import console
from ragthrift_bench.harness.journal import Journal
from ragthrift_bench.harness.readers import Reader, open_reader
from ragthrift_bench.harness.results import Cell, header, write_json, write_text
from ragthrift_bench.harness.rows import EMBEDDED, DataSet, load, split
from ragthrift_bench.harness.stats import Bootstrap

Column = tuple[str, Callable[[str], str]]
READ_ARMS = "lexical,cascade"
"""What a run reads by default: a local model takes longer to read a full context than all arms take to cut it."""
READ_ALL = "lexical,cascade,bm25_topk,cross_encoder_topk,llmslim,trimwise"
QUICK_ROWS = 12
UNMEASURED = frozenset({"cli.py", "page.py", "summary.py", "promise.py"})
"""Files of the suite that no journalled number depends on: they ask for numbers and show them."""
LEXICAL = "ragthrift:lexical"
SHOWN_ARMS = (LEXICAL,)
"""Whose kept text the page shows for an open set: the first of these that ran."""


@dataclass(frozen=True, slots=True)
class Options:
    """A run as it was asked for."""

    data: tuple[str, ...]
    part: str
    arms: str
    budgets: tuple[float, ...]
    reader: str
    reader_rows: int
    reader_seconds: float | None
    reader_arms: str
    reader_budgets: tuple[float, ...]
    chain: str
    counter: str
    prices: Prices
    out: Path
    full: bool
    quick: bool
    json: bool
    resume: bool
    seed: int

    def stamp(self, data: DataSet) -> str:
        """Names everything that a journalled number depends on."""
        parts = [data.name, data.sha256, self.part, self.counter, str(self.quick), *map(_sources, (ragthrift, context))]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _sources(package: ModuleType) -> str:
    """A hash of the package's code: uncommitted changes count, a commit elsewhere in the repository does not."""
    digest = hashlib.sha256()
    for folder in package.__path__:
        for file in sorted(Path(folder).rglob("*.py")):
            if file.name not in UNMEASURED:
                digest.update(file.read_bytes())
    return digest.hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Run the suite and write its results."""
    options = parse(arguments)
    start = time.monotonic()
    blocks, roster = run(options, ARMS)
    write(options, blocks, roster, time.monotonic() - start)
    return 0


def parse(arguments: Sequence[str]) -> Options:
    """The options that the command line asks for."""
    given = _parser().parse_args(list(arguments))
    quick = bool(given.quick)
    rows = given.reader_rows if given.reader_rows is not None else 4 if quick else 150 if given.full else 24
    seconds = (
        given.reader_seconds if given.reader_seconds is not None else None if given.full else 20.0 if quick else 60.0
    )
    return Options(
        data=tuple(given.data or [EMBEDDED]),
        part=given.split,
        arms=given.arms,
        budgets=_budgets(given.budgets, "--budgets"),
        reader=given.reader,
        reader_rows=rows,
        reader_seconds=seconds,
        reader_arms=given.reader_arms or (READ_ALL if given.full else READ_ARMS),
        reader_budgets=_budgets(given.reader_budgets, "--reader-budgets"),
        chain=given.chain,
        counter=given.counter,
        prices=Prices(given.price_in, given.price_out, given.price_cpu_hour),
        out=Path(given.out),
        full=given.full,
        quick=quick,
        json=given.json,
        resume=given.resume,
        seed=given.seed,
    )


def run(options: Options, arms: Sequence[Arm], models: Models | None = None) -> tuple[list[Block], Roster]:
    """Measure every set. Stopping it keeps the sets and arms that were finished."""
    chosen = choose(arms, options.arms)
    sets = [load(name) for name in options.data]
    asks = chains.load_chains(options.chain) if options.chain else {}
    models = models or Models()
    roster = muster(chosen, models)
    blocks: list[Block] = []
    reader, missing = _reader(options)
    if missing:
        roster.not_run.append(missing)
    try:
        with console.progress(quiet=options.json) as step:
            blocks.extend(_set(options, data, chosen, roster, models, reader, asks, step) for data in sets)
    except KeyboardInterrupt:
        if not blocks:
            raise
        console.warn(f"stopped: {len(blocks)} of {len(sets)} sets are finished and written; --resume goes on from here")
    finally:
        if reader is not None:
            reader.close()
    return blocks, roster


def write(options: Options, blocks: Sequence[Block], roster: Roster, seconds: float) -> None:
    """Write the results file, the rows and the page, and print the tables."""
    head = header("context", seconds)
    settings = _settings(options)
    content = {
        **head,
        "settings": settings,
        "rows": [cell.json() for block in blocks for cell in (*block.cells, *block.chain)],
        "differences": [one.json() for block in blocks for one in block.differences],
        "not_run": [{"arm": one.arm, "reason": one.reason, "fix": one.fix} for one in roster.not_run],
    }
    write_json(options.out / "context.json", content)
    _write_rows(options.out / "context_rows.jsonl.gz", blocks)
    chosen = choose(ARMS, options.arms)
    meta = Meta(head, settings, chosen, roster.not_run, options.prices)
    write_text(options.out / "context.html", render_page(blocks, meta))
    if options.json:
        sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
        return
    for block in blocks:
        _show(block)
    for (reason, fix), names in _grouped(roster.not_run).items():
        console.say(f"not run: {', '.join(names)}: {reason}{f' ({fix})' if fix else ''}")
    console.say(f"{options.out / 'context.html'}  {seconds:.0f} s")


def _set(
    options: Options,
    data: DataSet,
    arms: Sequence[Arm],
    roster: Roster,
    models: Models,
    reader: Reader | None,
    asks: Mapping[str, chains.Ask],
    step: console.Step,
) -> Block:
    rows = split(data.rows, options.part)  # pyright: ignore[reportArgumentType]  # argparse checked the choice
    rows = tuple(sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).hexdigest()))  # files are often grouped
    rows = rows[:QUICK_ROWS] if options.quick else rows
    if not rows:
        raise ConfigurationError(f"--split {options.part}: {data.name} has no row in this part")
    journal = Journal(options.out / f".journal-{_slug(data.name)}.jsonl", options.stamp(data), resume=options.resume)
    plan = plan_of(data, rows, options.budgets, tokens.counter(options.counter))
    found = _measured(options, plan, arms, roster, models, journal, step)
    answers = None
    if reader is not None:
        names = [arm.name for arm in arms if arm.name in found.columns and not arm.name.endswith(OWN)]
        wanted = {arm.name for arm in choose(ARMS, options.reader_arms)}
        keeps = {name: roster.ready[name] for name in names if name in wanted}
        ways = 3 + len(keeps) * len(options.reader_budgets)
        answers = read(
            plan,
            keeps,
            options.reader_budgets,
            reader,
            journal,
            rows=options.reader_rows,
            seconds=options.reader_seconds,
            tick=step(f"{data.name}: {reader.name}", ways * min(options.reader_rows, len(rows))),
        )
    summary = Summary(found, arms, options.prices, answers, options.seed)
    chain_cells = list(_chain_cells(options, plan, asks, journal, step))
    cells = [*summary.cells()]
    if LEXICAL in found.columns and not options.quick:
        cells += promises(data, plan.counter, Bootstrap(len(rows), seed=options.seed), rows)
    return Block(found, answers, cells, summary.differences(), chain_cells)


def _measured(
    options: Options,
    plan: Plan,
    arms: Sequence[Arm],
    roster: Roster,
    models: Models,
    journal: Journal,
    step: console.Step,
) -> Measured:
    columns = dict(brackets(plan))
    times: dict[str, list[float]] = {}
    shown: dict[str, list[list[tuple[int, str]]]] = {}
    ready = [arm for arm in arms if arm.name in roster.ready]
    plain = models.to_time()
    try:
        for arm in ready:
            total = plan.rows_of(arm, everything=options.full) * len(plan.budgets_of(arm, everything=options.full))
            tick = step(f"{plan.data.name}: {arm.name}", total)
            columns[arm.name] = measure(plan, arm, roster.ready[arm.name], journal, everything=options.full, tick=tick)
        for arm in ready:
            tick = step(f"{plan.data.name}: time of {arm.name}", 1)
            if not arm.name.endswith(OWN):
                times[arm.name] = timed(plan, arm, arm.once(plain), journal, everything=options.full)
            tick(1)
        first = next((name for name in SHOWN_ARMS if name in columns), None)
        if plan.data.open and first is not None:
            shown[first] = texts(plan, first, roster.ready[first], journal)
    except KeyboardInterrupt:
        if len(columns) <= 2:  # only the brackets: nothing worth a report
            raise
        console.warn(f"stopped: {plan.data.name} is reported with {len(columns) - 2} arms; --resume goes on from here")
    return Measured(plan, columns, times, shown)


def _chain_cells(
    options: Options, plan: Plan, asks: Mapping[str, chains.Ask], journal: Journal, step: console.Step
) -> Iterator[Cell]:
    """The numbers of the user's own chains, and the paired difference when there are two."""
    if not asks:
        return
    draw = Bootstrap(len(plan.rows), seed=options.seed)
    columns = {
        name: chains.run_chain(
            name,
            ask,
            plan.rows,
            plan.counter,
            journal,
            data=plan.data.name,
            tick=step(f"{plan.data.name}: chain {name}", len(plan.rows)),
        )
        for name, ask in asks.items()
    }
    data, sha256 = plan.data.name, plan.data.sha256
    for name, column in columns.items():
        for metric, values in column.items():
            estimate = draw.mean(values)
            unit = "tokens" if metric == "context_tokens" else "ms" if metric == "chain_ms" else "share"
            if estimate is not None:
                yield Cell.of(f"chain:{name}", data, sha256, metric, estimate, unit, {})
    if len(columns) == 2:
        before, after = columns.values()
        for metric in chains.CHAIN_METRICS:
            gap = draw.difference(after[metric], before[metric])
            unit = "tokens" if metric == "context_tokens" else "ms" if metric == "chain_ms" else "share"
            if gap is not None:
                yield Cell(
                    "chain:difference", data, sha256, metric, gap.value, (gap.low, gap.high), gap.n, unit, {"p": gap.p}
                )


def _reader(options: Options) -> tuple[Reader | None, NotRun | None]:
    """The reader, or why there is none: a missing package or model leaves out the level, it does not end the run."""
    try:
        return open_reader(options.reader), None
    except (MissingExtra, MissingModel) as error:
        return None, NotRun(
            f"reader {options.reader}", str(error).split("\n")[0], 'pip install "ragthrift-bench[reader]"'
        )


def _settings(options: Options) -> dict[str, object]:
    return {
        "data": list(options.data),
        "split": options.part,
        "arms": options.arms,
        "budgets": list(options.budgets),
        "reader": options.reader,
        "reader_rows": options.reader_rows,
        "reader_seconds": options.reader_seconds,
        "reader_budgets": list(options.reader_budgets),
        "counter": options.counter,
        "prices": {
            "usd_per_mtok_in": options.prices.per_mtok_in,
            "usd_per_mtok_out": options.prices.per_mtok_out,
            "usd_per_cpu_hour": options.prices.per_cpu_hour,
        },
        "full": options.full,
        "quick": options.quick,
        "seed": options.seed,
    }


def _write_rows(file: Path, blocks: Sequence[Block]) -> None:
    """One line per question, arm and budget. A set that is not ours gives ids and numbers, never text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.part")
    with gzip.GzipFile(half, "wb", mtime=0) as out:
        for line in _row_lines(blocks):
            out.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
    half.replace(file)


def _row_lines(blocks: Sequence[Block]) -> Iterator[dict[str, object]]:
    for block in blocks:
        plan = block.found.plan
        for arm, budgets in block.found.columns.items():
            for budget, columns in budgets.items():
                for at, row in enumerate(plan.rows):
                    numbers = {metric: column[at] for metric, column in columns.items()}
                    yield {"data": plan.data.name, "id": row.id, "arm": arm, "budget": budget, **numbers}
        if block.read is not None:
            yield from _read_lines(plan, block.read)


def _read_lines(plan: Plan, answers: Read) -> Iterator[dict[str, object]]:
    for (arm, budget), columns in answers.columns.items():
        for place, at in enumerate(answers.rows):
            numbers = {metric: column[place] for metric, column in columns.items()}
            line = {
                "data": plan.data.name,
                "id": plan.rows[at].id,
                "arm": arm,
                "budget": budget,
                "reader": answers.reader,
            }
            reply = {"reply": answers.replies[arm, budget][place]} if plan.data.open else {}
            yield {**line, **numbers, **reply}


def _grouped(missing: Sequence[NotRun]) -> dict[tuple[str, str], list[str]]:
    """The arms that were left out, by reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in missing:
        groups.setdefault((one.reason, one.fix), []).append(one.arm)
    return groups


def _show(block: Block) -> None:
    plan = block.found.plan
    budget = plan.primary
    by = {
        (cell.arm, cell.metric, "reader" in cell.at): cell
        for cell in block.cells
        if "gold_position" not in cell.at
        and cell.at.get("budget", budget)
        == (1.0 if cell.arm in (FULL, GOLD) else 0.0 if cell.arm == CLOSED else budget)
    }
    names = [*block.found.columns, *([CLOSED] if block.read is not None else [])]

    def shown(arm: str, metric: str, form: str, *, read: bool = False) -> str:
        cell = by.get((arm, metric, read))
        return "–" if cell is None else form.format(cell.value)

    columns: list[Column] = [
        ("n", lambda arm: "–" if (cell := by.get((arm, "tokens_used", False))) is None else str(cell.n)),
        ("tokens", lambda arm: shown(arm, "tokens_used", "{:,.0f}")),
        ("answer", lambda arm: shown(arm, "answer_in_context", "{:.1%}")),
        ("all evidence", lambda arm: shown(arm, "joint_evidence", "{:.1%}")),
        ("over", lambda arm: shown(arm, "overruns", "{:.0f}")),
        ("offsets", lambda arm: shown(arm, "offset_errors", "{:.0f}")),
        ("p50 ms", lambda arm: shown(arm, "latency_p50_ms", "{:,.1f}")),
        ("pairs", lambda arm: shown(arm, "scored_pairs_share", "{:.0%}")),
    ]
    if block.read is not None:
        columns.append(("F1", lambda arm: shown(arm, "reader_f1", "{:.1%}", read=True)))
        columns.append(("contains", lambda arm: shown(arm, "reader_contains", "{:.1%}", read=True)))
    columns.append(("$/1,000", lambda arm: shown(arm, "usd_per_1000", "{:.3f}")))
    read_rows = f", F1 of {block.read.reader} on {len(block.read.rows)}" if block.read is not None else ""
    console.show(
        f"{plan.data.name}: {len(plan.rows)} questions at {budget:.0%} of the tokens{read_rows}",
        ["arm", *(name for name, _ in columns)],
        [[name, *(form(name) for _, form in columns)] for name in names],
        strong=[name.startswith("ragthrift:") for name in names],
    )
    for one in block.differences:
        if one.at.get("budget") == budget:
            gap = one.difference
            console.say(
                f"  {one.metric}: {one.arm} {gap.value * 100:+.1f} points over {one.rival} ({one.against}), "
                f"95 % {gap.low * 100:+.1f} to {gap.high * 100:+.1f}"
            )
    for cell in block.chain:
        ends = f" ({cell.ci[0]:.3f} to {cell.ci[1]:.3f})" if cell.ci else ""
        console.say(f"  {cell.arm} {cell.metric}: {cell.value:.3f}{ends}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ragthrift_bench context",
        description="Context size against answer accuracy, ours beside what people use today.",
    )
    add = parser.add_argument
    add(
        "--data",
        nargs="+",
        metavar="NAME_OR_PATH",
        help="embedded (default), a .jsonl file, a folder of RAGTHRIFT_DATA; with :untitled, :shuffled, :gold_removed",
    )
    add(
        "--split",
        choices=("test", "tune", "all"),
        default="test",
        help="which rows, by a hash of their id (default: test)",
    )
    add("--arms", default="*", help="comma-separated globs, such as 'ragthrift:*,bm25_topk'")
    add("--budgets", default=",".join(f"{budget:g}" for budget in BUDGETS), help="shares of the full context's tokens")
    add(
        "--reader",
        default="local:0.5b",
        help="local:0.5b, local:1.5b, local:FILE.gguf, none, a server URL, or module:object",
    )
    add("--reader-rows", type=_positive, help="questions to read (default 24; 150 with --full)")
    add("--reader-seconds", type=float, help="begin no further question after this time (default 60; none with --full)")
    add("--reader-arms", default="", help=f"arms whose contexts are read (default {READ_ARMS}; more with --full)")
    add("--reader-budgets", default=f"{PRIMARY:g}", help="budgets whose contexts are read")
    add(
        "--chain",
        default="",
        metavar="MODULE:OBJECT",
        help="your LangChain runnable or LlamaIndex query engine, or a pair of them",
    )
    add("--counter", default="o200k_base", help="approximate, o200k_base, cl100k_base, or a tokenizer.json")
    add("--price-in", type=_price, default=0.15, help="dollars per million input tokens")
    add("--price-out", type=_price, default=0.60, help="dollars per million output tokens")
    add("--price-cpu-hour", type=_price, default=0.04, help="dollars per hour of one core")
    add("--out", default="benchmarks/results", metavar="DIR")
    add(
        "--no-promises",
        action="store_true",
        help="do not measure whether max_loss is kept on rows it was not made from",
    )
    add("--full", action="store_true", help="every arm at every budget, and 150 questions for the reader")
    add("--quick", action="store_true", help=f"{QUICK_ROWS} rows a set: does it run?")
    add("--json", action="store_true", help="print the results file instead of tables")
    add("--resume", action="store_true", help="go on with a run that was cut off")
    add("--seed", type=int, default=0)
    return parser


def _budgets(text: str, option: str) -> tuple[float, ...]:
    try:
        budgets = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError as error:
        raise ConfigurationError(f"{option} {text!r}: expected shares such as 0.1,0.25") from error
    if not all(0 < budget <= 1 for budget in budgets):
        raise ConfigurationError(f"{option} {text!r}: a share lies above 0 and is at most 1")
    return budgets


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _price(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {value}")
    return value


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
