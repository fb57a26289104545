"""The page of the suite: accuracy against context size and dollars, per set, with the questions behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ragthrift_bench.context.arms import OWN, Arm, NotRun
from ragthrift_bench.context.reading import Read
from ragthrift_bench.context.run import CLOSED, FULL, GOLD, Columns, Measured
from ragthrift_bench.context.summary import SHARES, Compared, Prices
from ragthrift_bench.harness.match import sentence_ranges
from ragthrift_bench.harness.page import Td, page, table
from ragthrift_bench.harness.results import Cell, cpu
from ragthrift_bench.harness.rows import Row
from ragthrift_bench.harness.svg import Point, Series, chart

RIVALS_SHOWN = 5
QUESTIONS_SHOWN = 400
Find = Mapping[tuple[str, str, float, str], Cell]
"""Cells by arm, metric, budget and reader."""


@dataclass(frozen=True, slots=True)
class Block:
    """Everything that the page says about one set."""

    found: Measured
    read: Read | None
    cells: Sequence[Cell]
    differences: Sequence[Compared]
    chain: Sequence[Cell] = ()


@dataclass(frozen=True, slots=True)
class Meta:
    """What the page says about the run."""

    header: Mapping[str, object]
    settings: Mapping[str, object]
    arms: Sequence[Arm]
    not_run: Sequence[NotRun]
    prices: Prices
    notes: Sequence[str] = ()


def render_page(blocks: Sequence[Block], meta: Meta) -> str:
    """The page as one HTML document."""
    links = "".join(f'<a href="#{_slug(block)}">{escape(block.found.plan.data.name)}</a>' for block in blocks)
    body = [_top(meta), f"<nav>{links}</nav>" if len(blocks) > 1 else ""]
    body += [_block(block, meta) for block in blocks]
    body.append(_arms(meta))
    return page("ragthrift: context size against answer accuracy", "".join(body))


def _top(meta: Meta) -> str:
    facts = [
        f"commit {meta.header.get('commit') or 'unknown'}",
        str(meta.header.get("date")),
        f"{meta.header.get('seconds')} s",
        cpu(),
        f"tokens counted with {meta.settings.get('counter')}",
        f"rows: {meta.settings.get('split')}",
    ]
    prices = meta.prices
    notes = "".join(f'<p class="soft">{escape(note)}</p>' for note in meta.notes)
    return (
        "<h1>How much context does an answer need?</h1>"
        "<p>Every arm cuts the same pool of passages for the same question to the same number of tokens of the "
        "rendered context. The curves show what is left: whether an answer, and all of the evidence for it, is still "
        "in the context, and how well a model answers from it. Bars are 95 % intervals over questions.</p>"
        f"<p>Dollars are per 1,000 questions: ${prices.per_mtok_in:g} per million tokens in, "
        f"${prices.per_mtok_out:g} out, ${prices.per_cpu_hour:g} per core-hour for the arm's own computing.</p>"
        f'{notes}<p class="meta">{escape(" · ".join(fact for fact in facts if fact))}</p>'
    )


def _block(block: Block, meta: Meta) -> str:
    plan = block.found.plan
    find = _index(block.cells)
    budget = plan.primary
    parts = [
        f'<section id="{_slug(block)}"><h2>{escape(plan.data.name)}</h2>',
        f'<p class="meta">{len(plan.rows)} questions, {_mean(plan.full):,.0f} tokens of context each '
        f"· file {escape(plan.data.sha256[:12])}</p>",
        _headline(block, find, budget),
        f'<div class="charts">{"".join(_charts(block, find, meta))}</div>',
        f"<h3>At {budget:.0%} of the tokens</h3>",
        _budget_table(block, find, meta, budget),
        _reader_table(block, find),
        _chain_table(block),
        _difference_table(block, budget),
        _position_table(block, budget),
        _questions(block, budget),
        "</section>",
    ]
    return "".join(parts)


def _headline(block: Block, find: Find, budget: float) -> str:
    """The facts that a reader wants first: ours and the best rival, side by side."""
    facts: list[str] = []
    seen: set[str] = set()
    for one in block.differences:
        name = f"{one.metric}"
        if one.at.get("budget") != budget or not one.against.startswith("best rival") or name in seen:
            continue
        best = max(
            (
                other
                for other in block.differences
                if other.metric == one.metric and other.at == one.at and other.against == one.against
            ),
            key=lambda other: other.difference.value,
        )
        reader = str(best.at.get("reader", ""))
        mine, theirs = (
            find.get((best.arm, best.metric, budget, reader)),
            find.get((best.rival, best.metric, budget, reader)),
        )
        if mine is None or theirs is None:
            continue
        seen.add(name)
        gap = best.difference
        facts.append(
            f'<div class="fact"><span>{escape(_words(best.metric))} at {budget:.0%} of the tokens</span>'
            f"<b>{mine.value:.1%}</b><span>{escape(best.arm)}; {escape(best.rival)} {theirs.value:.1%}. Difference "
            f"{gap.value * 100:+.1f} points ({gap.low * 100:+.1f} to {gap.high * 100:+.1f})</span></div>"
        )
    return f'<div class="headline">{"".join(facts)}</div>' if facts else ""


def _charts(block: Block, find: Find, meta: Meta) -> Iterator[str]:
    name = block.found.plan.data.name
    styles = _styles(block, meta.arms)
    for metric in ("answer_in_context", "joint_evidence"):
        series = _series(block, find, styles, metric, "tokens_used", "")
        full = find.get((FULL, metric, 1.0, ""))
        level = ("full context", full.value) if full else None
        if any(one.points for one in series):
            yield chart(
                series,
                title=f"{_words(metric)}, {name}",
                x_label="context tokens (log)",
                y_label=_words(metric),
                level=level,
            )
    series = _series(block, find, styles, "answer_in_context", "usd_per_1000", "")
    if any(one.points for one in series):
        yield chart(
            series,
            title=f"Answer in context against dollars, {name}",
            x_label="US dollars per 1,000 questions: context tokens and own computing (log)",
            y_label="answer in context",
        )
    if block.read is not None and block.read.rows:
        yield from _read_charts(block, find, styles)


def _read_charts(block: Block, find: Find, styles: Mapping[str, tuple[str, bool]]) -> Iterator[str]:
    assert block.read is not None
    reader = block.read.reader
    for cost, label in (
        ("prompt_tokens", "tokens of the whole prompt (log)"),
        ("usd_per_1000", "US dollars per 1,000 questions: prompt, answer and own computing (log)"),
    ):
        names = {arm: (style, True) for arm, (style, _) in styles.items()}
        series = _series(
            block,
            find,
            {**names, GOLD: ("br d1", True), CLOSED: ("br d2", True), FULL: ("br d3", True)},
            "reader_f1",
            cost,
            reader,
        )
        full = find.get((FULL, "reader_f1", 1.0, reader))
        against = "dollars" if cost == "usd_per_1000" else "tokens"
        yield chart(
            [one for one in series if one.points],
            title=f"Answers of {reader} against {against}, {len(block.read.rows)} questions",
            x_label=label,
            y_label="word F1 of the answer",
            level=("full context", full.value) if full else None,
        )


def _series(
    block: Block, find: Find, styles: Mapping[str, tuple[str, bool]], metric: str, cost: str, reader: str
) -> list[Series]:
    budgets = sorted({budget for _, _, budget, _ in find})
    found: list[Series] = []
    for arm, (style, shown) in styles.items():
        points: list[Point] = []
        for budget in budgets:
            y, x = find.get((arm, metric, budget, reader)), find.get((arm, cost, budget, reader))
            if y is not None and x is not None and x.value > 0:
                low, high = y.ci or (None, None)
                unit = "US dollars" if cost == "usd_per_1000" else "tokens"
                note = f"{y.value:.1%} at {x.value:,.4g} {unit}, budget {budget:.0%}"
                points.append(Point(x.value, y.value, low, high, note))
        found.append(Series(arm, tuple(points), style, shown))
    return found


def _styles(block: Block, arms: Sequence[Arm]) -> dict[str, tuple[str, bool]]:
    """The look of each arm, and whether it is drawn at first: ours, and the rivals with the largest area."""
    area = {cell.arm: cell.value for cell in block.cells if cell.metric == "area_retained"}
    there = [arm.name for arm in arms if arm.name in block.found.columns and not arm.name.endswith(OWN)]
    ours = [name for name in there if name.startswith("ragthrift:")]
    rivals = sorted((name for name in there if name not in ours), key=lambda name: -area.get(name, 0.0))
    styles = {name: (f"ours o{at % 4}", True) for at, name in enumerate(ours)}
    styles |= {name: (f"r{at % 6} d{at % 4}", at < RIVALS_SHOWN) for at, name in enumerate(rivals)}
    return styles


def _budget_table(block: Block, find: Find, meta: Meta, budget: float) -> str:
    head = [
        "arm",
        "n",
        "tokens",
        "answer in context",
        "all evidence",
        "evidence",
        "retained",
        "area",
        "over budget",
        "offset errors",
    ]
    head += ["p50 ms", "p95 ms", "pairs scored", "$ / 1,000"]
    notes = {arm.name: arm.note for arm in meta.arms}
    names = [
        arm for arm in block.found.columns if (arm, "tokens_used", budget, "") in find or arm.startswith("bracket:")
    ]
    areas = {cell.arm: cell for cell in block.cells if cell.metric == "area_retained"}
    best: dict[tuple[str, int], float] = {}  # arms that were asked other questions cannot be ranked by their means
    for name in names:
        for metric in SHARES if not name.startswith("bracket:") else ():
            if one := find.get((name, metric, budget, "")):
                best[metric, one.n] = max(best.get((metric, one.n), 0.0), one.value)
    rows: list[list[Td]] = []
    for name in names:
        at = 1.0 if name.startswith("bracket:") else budget

        def cell(metric: str, name: str = name, at: float = at) -> Cell | None:
            return find.get((name, metric, at, ""))

        row = [Td(name, name, "ours" if name.startswith("ragthrift:") else "", notes.get(name, ""))]
        asked = cell("tokens_used")
        row.append(Td(str(asked.n), asked.n) if asked else Td("–"))
        row.append(_number(asked, "{:,.0f}"))
        row += [_share(one := cell(metric), best.get((metric, one.n)) if one else None) for metric in SHARES]
        row += [_share(cell("retained")), _number(areas.get(name), "{:.3f}")]
        row += [_fault(cell("overruns")), _fault(cell("offset_errors"))]
        row += [_number(cell(metric), "{:,.1f}") for metric in ("latency_p50_ms", "latency_p95_ms")]
        row += [_share(cell("scored_pairs_share")), _number(cell("usd_per_1000"), "{:.4f}")]
        rows.append(row)
    note = (
        f'<p class="soft">{OWN} marks a rival that was told the budget in its own terms; without it, its setting was '
        "searched for the most tokens that fit. Over budget and offset errors count questions. Pairs scored is the "
        "share of the pool's sentences that went through the cross-encoder. The best of the arms that were asked the "
        "same questions is bold.</p>"
    )
    asked_all = {cell.n for cell in block.cells if cell.metric == "tokens_used" and cell.at.get("budget") == budget}
    if len(asked_all) > 1:
        note += (
            f'<p class="soft">Arms with a model were asked {min(asked_all)} of the {max(asked_all)} questions, drawn '
            "by a hash of their id; compare them through the paired differences, which are on the questions that both "
            "were asked. <code>--full</code> asks every arm everything.</p>"
        )
    return table(head, rows) + note


def _reader_table(block: Block, find: Find) -> str:
    if block.read is None or not block.read.rows:
        return ""
    reader = block.read.reader
    metrics = ("reader_f1", "reader_em", "reader_contains", "reader_retained", "abstain_accuracy")
    rows: list[list[Td]] = []
    for name, budget in block.read.columns:
        at = 0.0 if name == CLOSED else budget
        row = [Td(name, name, "ours" if name.startswith("ragthrift:") else ""), Td(f"{at:.0%}", at)]
        row += [_share(find.get((name, metric, at, reader))) for metric in metrics]
        row.append(_number(find.get((name, "prompt_tokens", at, reader)), "{:,.0f}"))
        row.append(_number(find.get((name, "reader_ms", at, reader)), "{:,.0f}"))
        row.append(_number(find.get((name, "usd_per_1000", at, reader)), "{:.4f}"))
        rows.append(row)
    head = [
        "arm",
        "budget",
        "F1",
        "exact",
        "contains",
        "F1 of full",
        "right refusals",
        "prompt tokens",
        "answer ms",
        "$ / 1,000",
    ]
    return f"<h3>Answers of {escape(reader)}, {len(block.read.rows)} questions</h3>" + table(head, rows)


def _chain_table(block: Block) -> str:
    if not block.chain:
        return ""
    names = list(dict.fromkeys(cell.arm for cell in block.chain))
    metrics = list(dict.fromkeys(cell.metric for cell in block.chain))
    by = {(cell.arm, cell.metric): cell for cell in block.chain}
    rows = [
        [Td(name, name)]
        + [
            _share(by.get((name, metric)))
            if metric.startswith(("reader_", "abstain"))
            else _number(by.get((name, metric)), "{:,.1f}")
            for metric in metrics
        ]
        for name in names
    ]
    return "<h3>Your own chain</h3>" + table(["chain", *(_words(metric) for metric in metrics)], rows)


def _difference_table(block: Block, budget: float) -> str:
    rows: list[list[Td]] = []
    for one in block.differences:
        if one.at.get("budget") != budget:
            continue
        gap = one.difference
        sure = "good" if gap.low > 0 else "bad" if gap.high < 0 else ""
        rows.append(
            [
                Td(one.arm, one.arm, "ours"),
                Td(one.rival, one.rival),
                Td(one.against, one.against),
                Td(_words(one.metric), one.metric),
                Td(f"{gap.value * 100:+.1f}", gap.value, sure),
                Td(f"{gap.low * 100:+.1f} to {gap.high * 100:+.1f}", gap.low),
                Td(f"{one.p_holm:.4f}", one.p_holm),
                Td("yes" if gap.low >= -0.01 else "no", float(gap.low >= -0.01)),
                Td(str(gap.n), gap.n),
            ]
        )
    if not rows:
        return ""
    head = [
        "arm",
        "compared with",
        "which is",
        "metric",
        "points",
        "95 % interval",
        "p (Holm)",
        "not worse by 1 point",
        "n",
    ]
    return f"<h3>Paired differences at {budget:.0%} of the tokens</h3>" + table(head, rows)


def _position_table(block: Block, budget: float) -> str:
    found = [cell for cell in block.cells if "gold_position" in cell.at and cell.at.get("budget") == budget]
    if not found:
        return ""
    places = sorted({int(cell.at["gold_position"]) for cell in found})
    spread = {
        cell.arm: cell for cell in block.cells if cell.metric == "position_spread" and cell.at.get("budget") == budget
    }
    by = {(cell.arm, int(cell.at["gold_position"])): cell for cell in found}
    rows = [
        [Td(arm, arm, "ours" if arm.startswith("ragthrift:") else "")]
        + [_share(by.get((arm, place))) for place in places]
        + [_share(spread.get(arm))]
        for arm in dict.fromkeys(cell.arm for cell in found)
    ]
    head = ["arm", *(f"gold at {place}" for place in places), "spread"]
    return "<h3>Answer in context, by where the gold passage stood</h3>" + table(head, rows)


def _questions(block: Block, budget: float) -> str:
    plan = block.found.plan
    arms = [name for name, columns in block.found.columns.items() if budget in columns and not name.endswith(OWN)]
    columns = {name: block.found.columns[name][budget] for name in arms}
    rows = range(min(len(plan.rows), QUESTIONS_SHOWN))
    if plan.data.open:
        inside = "".join(_question(block, at, columns) for at in rows)
    else:
        body = [[Td(plan.rows[at].id, plan.rows[at].id), *(_mark(columns[name], at) for name in arms)] for at in rows]
        inside = table(["row", *(name.partition(":")[2] for name in arms)], body)
    return (
        f"<details><summary>Per question, at {budget:.0%} of the tokens: "
        "● all evidence, ◐ the answer only, ○ neither</summary>"
        f"{inside}</details>"
    )


def _question(block: Block, at: int, columns: Mapping[str, Columns]) -> str:
    row = block.found.plan.rows[at]
    answers = ", ".join(row.answers) if row.answers else "cannot be answered"
    marks = table(
        ["arm", "kept", "tokens"],
        [
            [Td(name, name), _mark(found, at), Td(f"{found['tokens'][at] or 0:,.0f}", found["tokens"][at] or 0)]
            for name, found in columns.items()
            if found["tokens"][at] is not None
        ],
    )
    shown = "".join(
        f"<h3>What {escape(arm)} kept</h3>{_pool(row, texts[at])}"
        for arm, texts in block.found.texts.items()
        if at < len(texts)
    )
    return (
        f'<details class="question"><summary>{escape(row.question)} '
        f'<span class="answers">{escape(answers)}</span></summary>'
        f'<p class="meta">{escape(row.id)} {escape(row.qtype)}</p>{shown}{marks}</details>'
    )


def _pool(row: Row, kept: Sequence[tuple[int, str]]) -> str:
    """The passages of a row, what was kept marked and what was dropped grey."""
    texts: dict[int, str] = {}
    for at, text in kept:
        texts[at] = f"{texts.get(at, '')}\n{text}"
    parts: list[str] = []
    for at, passage in enumerate(row.passages):
        state = "" if at in texts else ' class="gone"'
        title = f"<b>{escape(passage.title)}</b>" if passage.title else ""
        parts.append(f"<div{state}>{title}{_marked(passage.text, texts.get(at, ''))}</div>")
    return f'<div class="pool">{"".join(parts)}</div>'


def _marked(text: str, kept: str) -> str:
    parts: list[str] = []
    at = 0
    for start, end in sentence_ranges(text):
        style = "kept" if text[start:end] in kept else "gone"
        parts.append(f'{escape(text[at:start])}<span class="{style}">{escape(text[start:end])}</span>')
        at = end
    return "".join(parts) + escape(text[at:])


def _mark(columns: Columns, at: int) -> Td:
    answer, joint = columns["answer_in_context"][at], columns["joint_evidence"][at]
    if joint or (joint is None and answer):
        return Td("●", 2, "good")
    if answer:
        return Td("◐", 1)
    return Td("○", 0, "bad") if answer is not None or joint is not None else Td("–", -1, "none")


def _arms(meta: Meta) -> str:
    rows = [[Td(arm.name, arm.name), Td(arm.note), Td("yes" if arm.model else "no")] for arm in meta.arms]
    parts = ["<section><h2>The arms</h2>", table(["arm", "how it is used", "runs a model"], rows, style="words")]
    if meta.not_run:
        missing = [[Td(one.arm, one.arm), Td(one.reason), Td(one.fix)] for one in meta.not_run]
        parts += ["<h3>Not run</h3>", table(["arm", "reason", "what brings it"], missing, style="words")]
    return "".join([*parts, "</section>"])


def _index(cells: Sequence[Cell]) -> dict[tuple[str, str, float, str], Cell]:
    return {
        (cell.arm, cell.metric, float(cell.at["budget"]), str(cell.at.get("reader", ""))): cell
        for cell in cells
        if "budget" in cell.at and "gold_position" not in cell.at
    }


def _share(cell: Cell | None, best: float | None = None) -> Td:
    if cell is None:
        return Td("–", -1, "none")
    title = f"{cell.ci[0]:.1%} to {cell.ci[1]:.1%}, n={cell.n}" if cell.ci else f"n={cell.n}"
    return Td(f"{cell.value:.1%}", cell.value, "best" if best is not None and cell.value >= best else "", title)


def _number(cell: Cell | None, form: str) -> Td:
    return Td("–", -1, "none") if cell is None else Td(form.format(cell.value), cell.value)


def _fault(cell: Cell | None) -> Td:
    if cell is None:
        return Td("–", -1, "none", "it reports no offsets")
    return Td(f"{cell.value:.0f}", cell.value, "bad" if cell.value else "good", f"of {cell.n}")


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def _words(metric: str) -> str:
    known = {
        "joint_evidence": "all evidence in context",
        "reader_f1": "word F1 of the answer",
        "reader_contains": "answer contains it",
    }
    return known.get(metric, metric.replace("_", " "))


def _slug(block: Block) -> str:
    return "set-" + "".join(letter if letter.isalnum() else "-" for letter in block.found.plan.data.name)
