"""A user's own LangChain runnable or LlamaIndex query engine, asked the questions of a set before and after a swap."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ragthrift.errors import ConfigurationError
from ragthrift.tokens import TokenCounter
from ragthrift_bench.context.reading import scored
from ragthrift_bench.harness.journal import Journal
from ragthrift_bench.harness.objects import load_object
from ragthrift_bench.harness.rows import Row

CHAIN_METRICS = ("reader_f1", "reader_em", "reader_contains", "abstain_right", "context_tokens", "chain_ms", "failed")
Column = list[float | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a chain answered, and the texts it answered from where it says so."""

    text: str
    context: tuple[str, ...] | None


Ask = Callable[[str], Answer]


def load_chains(spec: str) -> dict[str, Ask]:
    """The chains that `module:object` names: one, or a pair or mapping of the chain before and after a change."""
    found = load_object(spec, "--chain")
    if isinstance(found, Mapping):
        parts = {str(name): part for name, part in cast("Mapping[object, object]", found).items()}
    elif isinstance(found, tuple | list):
        pair = cast("Sequence[object]", found)
        if len(pair) != 2:
            raise ConfigurationError(f"--chain {spec!r}: expected a pair (before, after), got {len(pair)} objects")
        parts = {"before": pair[0], "after": pair[1]}
    else:
        parts = {"chain": found}
    return {name: ask_of(part, spec) for name, part in parts.items()}


def ask_of(chain: Any, spec: str = "--chain") -> Ask:
    """How to ask `chain`: a runnable by `.invoke`, a query engine by `.query`, a function by a call."""
    if callable(getattr(chain, "query", None)):
        return lambda question: _engine_answer(chain.query(question))
    if callable(getattr(chain, "invoke", None)):
        return lambda question: _runnable_answer(chain.invoke(question))
    if callable(chain):
        return lambda question: _runnable_answer(chain(question))
    raise ConfigurationError(f"--chain {spec!r}: {type(chain).__name__} has neither `invoke` nor `query`")


def run_chain(
    name: str,
    ask: Ask,
    rows: Sequence[Row],
    counter: TokenCounter,
    journal: Journal,
    *,
    data: str,
    tick: Callable[[int], None],
) -> dict[str, Column]:
    """The marks of one chain on every row. A question that it fails on scores zero and is counted."""
    columns: dict[str, Column] = {metric: [] for metric in CHAIN_METRICS}
    for row in rows:
        key = f"chain|{data}|{name}|{row.id}"
        if key not in journal:
            journal.add(key, _marks(ask, row, counter))
        marks = cast("Mapping[str, float | None]", journal.get(key))
        for metric in CHAIN_METRICS:
            columns[metric].append(marks.get(metric))
        tick(1)
    return columns


def _marks(ask: Ask, row: Row, counter: TokenCounter) -> dict[str, float | None]:
    start = time.perf_counter()
    failed, answer = 0.0, Answer("", None)
    try:
        answer = ask(row.question)
    except Exception:  # noqa: BLE001  # the user's chain may raise anything; one bad question must not end the run
        failed = 1.0
    ms = (time.perf_counter() - start) * 1000
    marks = dict.fromkeys(scored(row, ""), 0.0) if failed else scored(row, answer.text)
    tokens = None if answer.context is None else float(counter.count("\n\n".join(answer.context)))
    return {**marks, "context_tokens": tokens, "chain_ms": ms, "failed": failed}


def _runnable_answer(result: Any) -> Answer:
    if isinstance(result, Mapping):
        fields = cast("Mapping[str, Any]", result)
        text = next((fields[key] for key in ("answer", "result", "output", "text") if key in fields), "")
        held = fields.get("context", fields.get("source_documents"))
        return Answer(_text(text), None if held is None else _texts(held))
    return Answer(_text(result), None)


def _engine_answer(result: Any) -> Answer:
    nodes = getattr(result, "source_nodes", None)
    context = None if nodes is None else tuple(str(node.node.get_content()) for node in nodes)
    return Answer(str(getattr(result, "response", None) or result), context)


def _text(value: Any) -> str:
    return str(getattr(value, "content", value))


def _texts(held: Any) -> tuple[str, ...]:
    if isinstance(held, str):
        return (held,)
    return tuple(str(getattr(part, "page_content", part)) for part in held)
