"""Rows: a question, its answers, a frozen pool of passages and the evidence in them. Loaded, checked, split."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Literal, TypeVar, cast

from ragthrift.errors import DataError
from ragthrift.types import Passage
from ragthrift_bench.harness.match import answered, found, sentences

EMBEDDED = "embedded"
ROOT = "RAGTHRIFT_DATA"
TUNE_PERCENT = 40
Split = Literal["test", "tune", "all"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A text that an answer rests on, and the passage that holds it."""

    passage: str
    text: str


Piece = tuple[Evidence, ...]
"""One needed piece of evidence: any of these alternatives supplies it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question with its frozen pool. No answers means that the pool cannot answer it."""

    id: str
    question: str
    answers: tuple[str, ...]
    passages: tuple[Passage, ...]
    gold: tuple[Piece, ...] = ()
    gold_passages: frozenset[str] = frozenset()
    qtype: str = ""
    gold_position: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Rows with the hash of the file that they came from. `open` says that a report may show their text."""

    name: str
    sha256: str
    rows: tuple[Row, ...]
    open: bool = False

    @property
    def windows(self) -> bool:
        """Whether the passages are overlapping windows of longer texts."""
        return any(passage.start is not None for row in self.rows for passage in row.passages)


def load(name: str) -> DataSet:
    """The set called `name`: `embedded`, a file, or a folder under the environment variable RAGTHRIFT_DATA.

    `name:variant` is a variant of the set, see `variants`.
    """
    from ragthrift_bench.harness.variants import VARIANTS

    base, _, variant = name.rpartition(":")
    if variant not in VARIANTS or not base:
        base, variant = name, ""
    file = locate(base)
    raw = file.read_bytes()
    data = DataSet(
        name=base if base == EMBEDDED else _short(base),
        sha256=hashlib.sha256(raw).hexdigest(),
        rows=tuple(_rows(_text(raw, file), str(file) if base != EMBEDDED else EMBEDDED)),
        open=base == EMBEDDED,
    )
    return replace(VARIANTS[variant](data), name=f"{data.name}:{variant}") if variant else data


def split(rows: Sequence[Row], part: Split) -> tuple[Row, ...]:
    """The rows of one part: 40 % to tune on, the others to report on, by a hash of the row id."""
    return tuple(row for row in rows if part == "all" or part == part_of(row.id))


def part_of(row_id: str) -> Literal["tune", "test"]:
    """Which part a row belongs to, whatever else is in its file."""
    return "tune" if int(hashlib.sha256(row_id.encode()).hexdigest(), 16) % 100 < TUNE_PERCENT else "test"


def locate(name: str) -> Path:
    """The file that `name` means; says where it looked when there is none."""
    if name == EMBEDDED:
        folder = Path(str(resources.files("ragthrift_bench"))) / "data"
        return _only(folder, "the embedded set")
    if Path(name).is_file():
        return Path(name)
    root = os.environ.get(ROOT)
    if root:
        folder = Path(root) / name
        if folder.is_dir():
            return _only(folder, name)
        for suffix in (".jsonl.gz", ".jsonl"):
            if (file := Path(root) / f"{name}{suffix}").is_file():
                return file
    place = f"the folder {root!r} that {ROOT} names" if root else f"a folder named by {ROOT}, which is not set"
    raise DataError(f"no data called {name!r}: not a file, and not in {place}")


def _only(folder: Path, name: str) -> Path:
    files = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")])
    preferred = [file for file in files if file.name.startswith("embedded.")]
    if len(files) != 1 and len(preferred) != 1:
        raise DataError(f"{name}: expected one .jsonl or .jsonl.gz in {str(folder)!r}, found {len(files)}")
    return preferred[0] if preferred else files[0]


def _short(name: str) -> str:
    return Path(name).name.removesuffix(".gz").removesuffix(".jsonl")


def _text(raw: bytes, file: Path) -> str:
    try:
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not UTF-8 text, or a broken gzip file ({error})") from error


def _rows(text: str, file: str) -> Iterator[Row]:
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            value: object = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: not JSON ({error.msg} at column {error.colno})") from error
        row = row_of(value, where)
        if row.id in seen:
            raise DataError(f"{where}, field 'id': {row.id!r} is already the id of line {seen[row.id]}")
        seen[row.id] = number
        yield row
    if not seen:
        raise DataError(f"{file}: holds no rows")


def row_of(value: object, where: str) -> Row:
    """The row that `value` describes; an error names `where` and the field."""
    fields = _mapping(value, where)
    passages = tuple(
        _passage(item, number, f"{where}, field 'passages[{number}]'")
        for number, item in enumerate(_list(fields, "passages", where))
    )
    ids = [passage.id for passage in passages]
    if not passages:
        raise DataError(f"{where}, field 'passages': empty; a row needs at least one passage")
    if len(set(ids)) != len(ids):
        raise DataError(f"{where}, field 'passages': two passages have the same id")
    answers = tuple(_strings(fields, "answers", where))
    question = _typed(fields, "question", str, where)
    if not question.strip():
        raise DataError(f"{where}, field 'question': empty")
    raw = [_mapping(item, where) for item in _list(fields, "passages", where)]
    gold_passages = frozenset(
        passage.id for passage, item in zip(passages, raw, strict=True) if item.get("gold") is True
    )
    row = Row(
        id=_typed(fields, "id", str, where),
        question=question,
        answers=answers,
        passages=passages,
        gold_passages=gold_passages,
        qtype=_optional(fields, "qtype", str, where) or "",
        gold_position=_optional(fields, "gold_position", int, where),
        source=_optional(fields, "source", str, where) or "",
    )
    return replace(row, gold=_gold(row, fields, raw, where))


def _passage(value: object, number: int, where: str) -> Passage:
    fields = _mapping(value, where)
    return Passage(
        text=_typed(fields, "text", str, where),
        id=_optional(fields, "id", str, where) or f"p{number}",
        title=_optional(fields, "title", str, where) or "",
    )


def _gold(row: Row, fields: Mapping[str, object], raw: Sequence[Mapping[str, object]], where: str) -> tuple[Piece, ...]:
    """The pieces that the row's answer rests on, from the most exact annotation that it has."""
    if not row.answers:
        return ()
    if fields.get("supporting_facts"):
        return tuple(_fact(item, row, raw, where) for item in _list(fields, "supporting_facts", where))
    if fields.get("evidence"):
        return tuple(_evidence(item, row, where) for item in _list(fields, "evidence", where))
    holders = tuple(
        Evidence(passage.id, sentence)
        for passage in row.passages
        if passage.id in row.gold_passages
        for sentence in sentences(passage.text)
        if answered(sentence, row.answers)
    )
    return (holders,) if holders else ()


def _fact(item: object, row: Row, raw: Sequence[Mapping[str, object]], where: str) -> Piece:
    where = f"{where}, field 'supporting_facts'"
    pair = cast("list[object]", item) if isinstance(item, list) else []
    if len(pair) != 2 or not isinstance(pair[1], int):
        raise DataError(f"{where}: expected [passage id, sentence number], got {item!r}")
    places = [place for place, passage in enumerate(row.passages) if passage.id == pair[0]]
    if not places:
        raise DataError(f"{where}: no passage has the id {pair[0]!r}")
    texts = _strings(raw[places[0]], "sentences", f"{where}: passage {pair[0]!r}")
    if not 0 <= pair[1] < len(texts):
        raise DataError(f"{where}: passage {pair[0]!r} has {len(texts)} sentences, number {pair[1]} is out of range")
    return (Evidence(row.passages[places[0]].id, texts[pair[1]].strip()),)


def _evidence(item: object, row: Row, where: str) -> Piece:
    where = f"{where}, field 'evidence'"
    fields = _mapping(item, where)
    evidence = Evidence(_typed(fields, "passage", str, where), _typed(fields, "text", str, where).strip())
    holder = next((passage for passage in row.passages if passage.id == evidence.passage), None)
    if holder is None:
        raise DataError(f"{where}: no passage has the id {evidence.passage!r}")
    if not found(evidence.text, holder.text):
        raise DataError(f"{where}: passage {evidence.passage!r} does not contain {evidence.text!r}")
    return (evidence,)


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object, got {value!r:.80}")
    return cast("Mapping[str, object]", value)


def _typed(fields: Mapping[str, object], name: str, kind: type[T], where: str) -> T:
    value = fields.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{where}, field {name!r}: expected {kind.__name__}, got {value!r:.80}")
    return value


def _optional(fields: Mapping[str, object], name: str, kind: type[T], where: str) -> T | None:
    return None if fields.get(name) is None else _typed(fields, name, kind, where)


def _list(fields: Mapping[str, object], name: str, where: str) -> list[object]:
    return cast("list[object]", _typed(fields, name, list, where))


def _strings(fields: Mapping[str, object], name: str, where: str) -> list[str]:
    values = _list(fields, name, where)
    for value in values:
        if not isinstance(value, str):
            raise DataError(f"{where}, field {name!r}: expected strings, got {value!r:.80}")
    return cast("list[str]", values)
