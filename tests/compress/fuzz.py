"""Random contexts through the engines, and what must hold for each result.

`python tests/compress/fuzz.py --cases 100000` prints how many cases broke each promise, as JSON; it exits with 1 if any
did. The models folder is RAGTHRIFT_MODELS, else `.models` in the repository.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import math
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from ragthrift.compress import Compressor
from ragthrift.compress.guard import asks_for_everything
from ragthrift.rerank import Reranker
from ragthrift.testing import FixedScorer, HashEmbedder
from ragthrift.text import units
from ragthrift.tokens import APPROXIMATE, Tiktoken, Tokenizers, render
from ragthrift.types import Lean, Passage

MODELS = Path(os.environ.get("RAGTHRIFT_MODELS", Path(__file__).parents[2] / ".models"))
BERT = MODELS / "all-MiniLM-L6-v2-int8" / "tokenizer.json"

COUNTERS = {"approximate": APPROXIMATE, "o200k_base": Tiktoken("o200k_base"), "bert": Tokenizers(str(BERT))}

WORDS = (
    *("the", "of", "and", "was", "in", "Ada", "Lovelace", "engine", "Babbage", "bridge", "Elbe", "it", "This", "they"),
    *("1889", "3.14", "ERR-4012", "12", "21", "%", "$5", "x=1", "R&D", "C++", "snake_case", "camelCase", "can't"),
    *("may", "not", "never", "Köln", "naïve", "e\u0301t\u00e9", "שלום", "مرحبا", "世界", "東京都", "สวัสดี"),
    *("👩\u200d👩\u200d👧", "🇩🇪", "𝔘", "\u0301", "\u200d"),
)
SENTENCES = (
    "Ada Lovelace wrote the first program in 1843.",
    "It was printed in a journal.",
    "The bridge over the Elbe may not be crossed.",
    "The bridge over the Elbe may be crossed.",
    "Prices rose by 12 %.",
    "Prices rose by 21 %.",
    "埃菲尔铁塔于1889年建成。它很高。",
    "東京タワーは1958年に完成した。これは赤い。",
    "หอไอเฟลสร้างเสร็จในปี 1889",
    "مرحبا بالعالم. نعم؟",
    "שלום עולם. כן.",
    "Dr. Smith met Mr. Jones at 5 p.m. They left.",
)
BLOCKS = (
    "# Rivers\n\nThe Elbe is long.\n\n## Bridges\n\nIt has many.",
    "| name | built |\n|---|---|\n| Elbe bridge | 1889 |\n| Ada bridge | 1843 |",
    "name,built,length\nElbe,1889,12\nAda,1843,21\nBabbage,1850,30",
    "Steps:\n- open the valve\n  - it may stick\n- close the valve\n- report ERR-4012",
    "1. First do this.\n2. Then do that.\n10. It is done.",
    "```python\ndef f(x):\n\n    return x  # ERR-4012\n```",
    "~~~\nunclosed fence\n# not a heading",
    '{"name": "Ada", "born": 1815, "works": ["engine", "notes"], "nested": {"a": [1, 2, {"b": null}]}}',
    '[{"id": 1, "text": "Elbe"}, {"id": 2, "text": "bridge"}]',
    "> quoted text\n> goes on",
    "Title\n=====\n\nSome text.",
    "    indented code\n    more code",
    "\tcode;\n\tmore;",
    "Key: value\nOther: 12\nThird: 21",
    "\ud800 lone \udc00 surrogates \ud83d",
    "a\r\nb\r\n\r\nc\rd\u2028e\x85f\x0cg\x00h",
    "…?!“”()[]{}<>--==++",
)
GLUE = (
    " ",
    " ",
    " ",
    "\n",
    "\n\n",
    "\r\n",
    "\r\n\r\n",
    "\t",
    "",
    "          ",
    "\n            ",
    "\u3000",
    "\xa0",
    "\n\n\n\n",
)
QUERIES = (
    "When did Ada Lovelace write the first program?",
    "bridge Elbe 1889",
    "What does ERR-4012 mean?",
    "埃菲尔铁塔什么时候建成?",
    "prices rose 21 %",
    "list all bridges",
    "",
    "   \n",
    "zzz qqq",
    "\ud800",
    "it",
)
LABELS = (None, None, "", "[1] ", "<doc id='1'>\n", "Quelle: Köln 👩‍👩‍👧\n", "\n\n", "L" * 60, "\ud83d")
JOINERS = ("\n\n", "\n\n", "", " ", "\n---\n", "x", "\r\n")


def text(pick: random.Random) -> str:
    """A text of mixed structure, most of them short."""
    kind = pick.random()
    if kind < 0.04:
        return pick.choice(("", " ", "\n\n", "\x00", "\u200b", "a", "👩‍👩‍👧"))
    if kind < 0.07:
        return pick.choice(("x", "世", "ab1-", "👍")) * pick.choice((30, 300, 1500))
    parts: list[str] = [pick.choice(GLUE)] if pick.random() < 0.1 else []
    for _ in range(pick.choice((1, 2, 3, 3, 4, 6))):
        shape = pick.random()
        if shape < 0.45:
            parts.append(pick.choice(SENTENCES))
        elif shape < 0.7:
            parts.append(" ".join(pick.choices(WORDS, k=pick.randint(1, 14))) + pick.choice((".", "", "?", "。")))
        else:
            parts += ["\n\n", pick.choice(BLOCKS), "\n\n"]
        parts.append(pick.choice(GLUE))
    return "".join(parts)


def passages(pick: random.Random) -> list[Passage]:
    """Up to eight passages, some of them repeated, cut from each other, or inside one another."""
    out: list[Passage] = []
    for _ in range(pick.choice((0, 1, 2, 3, 3, 4, 5, 8))):
        origin = pick.random()
        if out and origin < 0.1:
            out.append(pick.choice(out))
            continue
        body = text(pick)
        if out and origin < 0.2:
            before = pick.choice(out).text
            body = before[len(before) // 2 :] + body  # overlapping chunks
        out.append(
            Passage(
                body,
                id=pick.choice(("", "a", "b", "c")),
                title=pick.choice(("", "", "Ada Lovelace", "Elbe (river)", "埃菲尔铁塔", "שלום", "\ud83d", "T " * 20)),
                score=pick.choice((None, 0.5, 1, -3.0, math.nan, math.inf)),
                source=pick.choice(("", "s", "t")),
                parent=pick.choice(("", "", "a", "b")),
                label=pick.choice(LABELS),
                tail=pick.choice(("", "", "", "\n</doc>", " ", "\udc00")),
                metadata={"page": pick.randint(1, 9), "tags": ["x"]},
            )
        )
    return out


def engine(pick: random.Random, counter: str) -> Compressor | Reranker:
    """An engine with random settings and no time limit."""
    tokens = pick.choice((1, 2, 3, 5, 8, 13, 21, 34, 60, 100, 200, 1000))
    scorer = FixedScorer([pick.choice((0.1, 0.9, 0.5, 3.0, -4.0)) for _ in range(6)])
    if pick.random() < 0.3:
        return Reranker(
            scorer,
            top_n=pick.choice((None, 1, 3)),
            budget=pick.choice((None, tokens)),
            floor=pick.choice((0.0, 0.5, 1.0)),
            cut=pick.choice(("none", "gap")),
            fuse=pick.choice((0.0, 1.0)),
            per_source=pick.choice((None, 1)),
            duplicates=pick.choice(("drop", "keep")),
            on_empty=pick.choice(("keep_top1", "pass_through", "abstain")),
            counter=COUNTERS[counter],
            joiner=pick.choice(JOINERS),
            timeout_s=None,
        )
    return Compressor(
        budget=pick.choice((tokens, tokens, tokens, 0.1, 0.25, 0.5, 0.9, 1.0)),
        scorer=scorer if pick.random() < 0.15 else None,
        embedder=HashEmbedder(16) if pick.random() < 0.1 else None,
        counter=COUNTERS[counter],
        joiner=pick.choice(JOINERS),
        order=pick.choice(("source", "source", "edges", "score")),
        on_empty=pick.choice(("keep_top1", "pass_through", "abstain")),
        floor=pick.choice((0.0, 0.0, 0.02, 0.5)),
        per_source=pick.choice((1.0, 1.0, 0.5)),
        min_tokens=pick.choice((0, 0, 50)),
        timeout_s=None,
    )


def broken(thrift: Compressor | Reranker, query: str, given: list[Passage], lean: Lean) -> list[str]:
    """The promises that `lean` breaks, as words."""
    checks = (_budget, _counts, _partition, _spans, _decisions, _structure, _order)
    return [fault for check in checks for fault in check(thrift, query, given, lean)]


def _budget(thrift: Compressor | Reranker, query: str, given: list[Passage], lean: Lean) -> list[str]:
    held = thrift.counter.count(render(lean.kept, thrift.joiner))
    before = thrift.counter.count(render(given, thrift.joiner))
    if isinstance(thrift, Reranker) and lean.kept and len(lean.kept) == len(given) and thrift.floor:
        return []  # on_empty="pass_through" gives everything back
    if thrift.budget is None:
        return []
    if isinstance(thrift.budget, int):
        return ["overrun"] if held > thrift.budget else []
    assert isinstance(thrift, Compressor)
    if before < thrift.min_tokens or asks_for_everything(query):
        return [] if [p.text for p in lean.kept] == [p.text for p in given] else ["not passed through"]
    return ["overrun"] if held > max(1, int(thrift.budget * before)) else []


def _counts(thrift: Compressor | Reranker, query: str, given: list[Passage], lean: Lean) -> list[str]:
    before = thrift.counter.count(render(given, thrift.joiner))
    after = thrift.counter.count(render(lean.kept, thrift.joiner))
    return ["wrong count"] if (before, after) != (lean.tokens_before, lean.tokens_after) else []


def _partition(thrift: Compressor | Reranker, query: str, given: list[Passage], lean: Lean) -> list[str]:
    places = [p.index for p in (*lean.kept, *lean.dropped)]
    return ["passage lost or doubled"] if sorted(places) != list(range(len(given))) else []


def _spans(thrift: Compressor | Reranker, query: str, given: list[Passage], lean: Lean) -> list[str]:
    """Offsets hold, and nothing but text, spans, index and a reranker's score differs from what was given."""
    faults: list[str] = []
    for passage in (*lean.kept, *lean.dropped):
        source = given[passage.index]
        same = ("id", "title", "source", "parent", "start", "label", "tail", "metadata")
        if any(getattr(passage, name) != getattr(source, name) for name in same):
            faults.append("field changed")
        if isinstance(thrift, Compressor) and passage.score is not source.score:
            faults.append("field changed")
        if not passage.spans:
            faults += ["offset"] if passage.text != source.text else []
            continue
        at, end = 0, 0
        for number, span in enumerate(passage.spans):
            if number and passage.text[at : at + 1] not in (" ", "\n"):
                faults.append("offset")
            at += bool(number)
            piece = source.text[span.start : span.end]
            if not (end <= span.start < span.end <= len(source.text) and passage.text[at : at + len(piece)] == piece):
                faults.append("offset")
            at, end = at + len(piece), span.end
        faults += ["offset"] if at != len(passage.text) else []
    return faults


def _decisions(thrift: Compressor | Reranker, query: str, given: list[Passage], lean: Lean) -> list[str]:
    """Each character that is not blank has one decision, and it is true."""
    covered: list[list[bool]] = [[] for _ in given]
    held = {passage.index: passage for passage in lean.kept}
    for decision in sorted(lean.receipt.decisions, key=lambda d: (d.index, d.span.start)):
        source = given[decision.index].text
        told = covered[decision.index]
        if decision.span.start < len(told) or source[len(told) : decision.span.start].strip():
            return ["undecided or doubly decided"]
        told += [False] * (decision.span.start - len(told)) + [decision.kept] * (
            decision.span.end - decision.span.start
        )
    for index, told in enumerate(covered):
        source = given[index].text
        if source[len(told) :].strip():
            return ["undecided or doubly decided"]
        truth = [False] * len(source)
        if index in held:
            for start, end in [(s.start, s.end) for s in held[index].spans] or [(0, len(source))]:
                truth[start:end] = [True] * (end - start)
        if any(a != b and not c.isspace() for a, b, c in zip(told, truth, source, strict=False)):
            return ["decision untrue"]
    return []


def _structure(thrift: Compressor | Reranker, query: str, given: list[Passage], lean: Lean) -> list[str]:
    """Units are whole and never without their header or heading, unless the context was cut for want of evidence."""
    if isinstance(thrift, Reranker) or any(d.reason == "pass_through" for d in lean.receipt.decisions):
        return []
    kept = {(d.index, d.span.start) for d in lean.receipt.decisions if d.kept and d.reason in ("kept", "repair")}
    for passage in lean.kept:
        if passage.spans and any(index == passage.index for index, _ in kept):
            own = units(given[passage.index].text)
            for unit in own:
                whole = [s.start <= unit.start and unit.end <= s.end for s in passage.spans]
                apart = [s.end <= unit.start or unit.end <= s.start for s in passage.spans]
                if not any(whole) and not all(apart):
                    return ["unit split"]
                if any(whole):
                    above = {*unit.needs, *([unit.heading] if unit.heading >= 0 and unit.kind != "heading" else [])}
                    if any((passage.index, own[need].start) not in kept for need in above):
                        return ["unit without its header"]
    return []


def _order(thrift: Compressor | Reranker, query: str, given: list[Passage], lean: Lean) -> list[str]:
    places = [passage.index for passage in lean.kept]
    in_order = isinstance(thrift, Reranker) or thrift.order != "source" or places == sorted(places)
    return [] if in_order else ["order"]


def case(seed: int) -> tuple[Compressor | Reranker, str, list[Passage], str]:
    """The case with this number; its counter is one of three in turn."""
    pick = random.Random(seed)
    counter = list(COUNTERS)[seed % len(COUNTERS)]
    return engine(pick, counter), pick.choice(QUERIES), passages(pick), counter


def stable(lean: Lean) -> tuple[object, ...]:
    """All of a result but the time it took, in a form in which NaN equals NaN."""
    receipt = lean.receipt
    return (
        repr((lean.kept, lean.dropped, lean.tokens_before, lean.tokens_after, lean.abstained)),
        repr((receipt.decisions, receipt.fallbacks, receipt.scored_pairs, receipt.possible_pairs)),
    )


def faults(seed: int, loop: asyncio.AbstractEventLoop, *, again: bool = True) -> list[str]:
    """The promises that the case with this number breaks."""
    thrift, query, given, _ = case(seed)
    before = copy.deepcopy(given)
    lean = thrift.lean(query, given)
    found = broken(thrift, query, given, lean)
    if again and stable(loop.run_until_complete(thrift.alean(query, given))) != stable(lean):
        found.append("sync and async differ")
    if repr(before) != repr(given):
        found.append("input changed")
    if any("Error" in fallback for fallback in lean.receipt.fallbacks):
        found.append("failed open")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    tally: Counter[str] = Counter()
    examples: dict[str, list[int]] = {}
    counters: Counter[str] = Counter()
    start = time.monotonic()
    loop = asyncio.new_event_loop()
    for seed in range(options.first, options.first + options.cases):
        counters[list(COUNTERS)[seed % len(COUNTERS)]] += 1
        for fault in set(faults(seed, loop, again=seed % 4 == 0)):
            tally[fault] += 1
            examples.setdefault(fault, []).append(seed)
    loop.close()
    print(
        json.dumps(
            {
                "cases": options.cases,
                "counters": counters,
                "overruns": tally["overrun"],
                "offset_errors": tally["offset"],
                "inputs_changed": tally["input changed"],
                "faults": dict(tally),
                "examples": {fault: seeds[:5] for fault, seeds in examples.items()},
                "seconds": round(time.monotonic() - start),
            }
        )
    )
    return int(any(tally.values()))


if __name__ == "__main__":
    sys.exit(main())
