from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ragthrift.errors import DataError
from ragthrift_bench.harness.rows import Evidence, load, part_of, split
from ragthrift_bench.harness.variants import windows


def write(tmp_path: Path, *rows: object, name: str = "rows.jsonl") -> str:
    file = tmp_path / name
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(file)


def row(**fields: object) -> dict[str, object]:
    return {"id": "r", "question": "q?", "answers": ["yes"], "passages": [{"id": "p", "text": "One. Two."}], **fields}


def test_gold_is_the_most_exact_annotation(rows_file: Path):
    founder, market, moon = load(str(rows_file)).rows
    assert founder.gold == ((Evidence("mill", "It was founded by Ada Nore in 1871."),),)
    assert market.gold == (
        (Evidence("mill", "The Blue Mill stands in Tarn."),),
        (Evidence("tarn", "The market is on Friday."),),
    )
    assert moon.gold == ()
    assert moon.answers == ()


def test_gold_passage_without_spans_gives_its_sentences_that_name_an_answer(tmp_path: Path):
    text = "Oslo is in Norway. It rains. Oslo was Christiania."
    passages = [{"id": "a", "text": text, "gold": True}, {"id": "b", "text": "Oslo again."}]
    loaded = load(write(tmp_path, row(answers=["Oslo"], passages=passages))).rows[0]
    assert loaded.gold == ((Evidence("a", "Oslo is in Norway."), Evidence("a", "Oslo was Christiania.")),)


def test_gzip_and_plain_hold_the_same_rows(tmp_path: Path, rows_file: Path):
    packed = tmp_path / "village.jsonl.gz"
    packed.write_bytes(gzip.compress(rows_file.read_bytes()))
    assert load(str(packed)).rows == load(str(rows_file)).rows
    assert load(str(packed)).name == load(str(rows_file)).name == "village"


def test_a_folder_of_the_data_root_is_found_by_name(tmp_path: Path, rows_file: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "root" / "rag_village"
    folder.mkdir(parents=True)
    (folder / "any.jsonl").write_bytes(rows_file.read_bytes())
    monkeypatch.setenv("RAGTHRIFT_DATA", str(tmp_path / "root"))
    assert load("rag_village").name == "rag_village"
    assert len(load("rag_village").rows) == 3


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{nonsense", "line 1: not JSON"),
        ("[1]", "line 1: expected an object"),
        (row(question=" "), "line 1, field 'question': empty"),
        (row(id=7), "line 1, field 'id': expected str, got 7"),
        (row(answers="yes"), "line 1, field 'answers': expected list"),
        (row(answers=["yes", None]), "line 1, field 'answers': expected strings"),
        (row(passages=[]), "line 1, field 'passages': empty"),
        (row(passages=[{"id": "p"}]), "line 1, field 'passages[0]', field 'text': expected str, got None"),
        (row(passages=[{"id": "p", "text": "a"}] * 2), "two passages have the same id"),
        (row(supporting_facts=[["x", 0]]), "no passage has the id 'x'"),
        (row(supporting_facts=["p"]), "expected [passage id, sentence number]"),
        (row(evidence=[{"passage": "p", "text": "Three."}]), "passage 'p' does not contain 'Three.'"),
        (row(gold_position="first"), "field 'gold_position': expected int, got 'first'"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_field(tmp_path: Path, bad: object, said: str):
    file = write(tmp_path, bad)
    with pytest.raises(DataError) as error:
        load(file)
    assert file in str(error.value)
    assert said in str(error.value)


def test_a_repeated_id_names_both_lines(tmp_path: Path):
    with pytest.raises(DataError, match="line 2, field 'id': 'r' is already the id of line 1"):
        load(write(tmp_path, row(), row()))


def test_a_sentence_number_out_of_range_is_named(tmp_path: Path):
    passages = [{"id": "p", "text": "One.", "sentences": ["One."]}]
    with pytest.raises(DataError, match="passage 'p' has 1 sentences, number 4 is out of range"):
        load(write(tmp_path, row(passages=passages, supporting_facts=[["p", 4]])))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00", b"\x1f\x8bbroken"])
def test_a_file_without_rows_is_an_error(tmp_path: Path, content: bytes):
    file = tmp_path / "empty.jsonl"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"empty\.jsonl"):
        load(str(file))


def test_missing_data_says_where_it_looked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAGTHRIFT_DATA", raising=False)
    with pytest.raises(DataError, match="no data called 'rag_nothing'"):
        load("rag_nothing")


def test_the_split_is_a_hash_of_the_id():
    assert [part_of(f"row {number}") for number in range(6)] == ["tune", "tune", "test", "tune", "test", "test"]
    parts = [part_of(str(number)) for number in range(10_000)]
    assert 0.38 < parts.count("tune") / 10_000 < 0.42


def test_the_parts_cover_the_rows_once(rows_file: Path):
    rows = load(str(rows_file)).rows
    assert sorted(r.id for part in ("test", "tune") for r in split(rows, part)) == ["founder", "market", "moon"]
    assert split(rows, "all") == rows


def test_untitled_cuts_overlapping_windows(tmp_path: Path):
    text = "".join(f"Word{number:04d} " for number in range(120))  # 1,080 characters
    data = load(write(tmp_path, row(answers=[], passages=[{"id": "p", "title": "T", "text": text}])) + ":untitled")
    assert data.name == "rows:untitled"
    assert [(p.id, p.start, len(p.text), p.title, p.source) for p in data.rows[0].passages] == [
        ("p#0", 0, 512, "", "p"),
        ("p#1", 448, 512, "", "p"),
        ("p#2", 896, 184, "", "p"),
    ]
    assert data.windows
    assert windows("short") == [(0, 5)]


def test_shuffled_is_the_same_every_time_and_moves_the_gold_position(tmp_path: Path):
    passages = [{"id": str(n), "text": f"Text {n}.", "gold": n == 0} for n in range(9)]
    file = write(tmp_path, row(answers=[], passages=passages, gold_position=0))
    first, again = load(f"{file}:shuffled").rows[0], load(f"{file}:shuffled").rows[0]
    assert first == again
    assert sorted(p.id for p in first.passages) == [str(n) for n in range(9)]
    assert first.passages[first.gold_position or 0].id == "0"


def test_gold_removed_leaves_no_answer_behind(tmp_path: Path):
    passages = [
        {"id": "a", "text": "Oslo it is.", "gold": True},
        {"id": "b", "text": "Not Oslo?"},
        {"id": "c", "text": "Rain."},
    ]
    rows = [row(id=str(n), answers=["Oslo"], passages=passages) for n in range(200)]
    changed = [r for r in load(write(tmp_path, *rows) + ":gold_removed").rows if not r.answers]
    assert 40 < len(changed) < 80
    assert all([p.id for p in r.passages] == ["c"] and r.qtype == "unanswerable" for r in changed)
