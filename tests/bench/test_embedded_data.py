"""The embedded evaluation set keeps what its README promises."""

import gzip
import json
from collections import Counter
from statistics import mean

import pytest

from ragthrift.errors import DataError
from ragthrift.tokens import Approximate
from ragthrift_bench.data import CORPUS, EMBEDDED, QUESTIONS
from ragthrift_bench.data.bm25 import Index, terms
from ragthrift_bench.data.build import FEWEST, LEAST_TOKENS, MOST, MOST_TOKENS, Builder, lines, plain, rows
from ragthrift_bench.data.source import QTYPES, Chunk, Question, chunks, questions
from ragthrift_bench.harness.match import answered, found

BUILT = gzip.decompress(EMBEDDED.read_bytes())
ROWS = [json.loads(line) for line in BUILT.decode().splitlines()]
ANSWERABLE = [row for row in ROWS if row["qtype"] != "unanswerable"]


def seen(passage):
    return plain(f"{passage['title']}\n{passage['text']}")


def texts(row, *, gold):
    return [seen(passage) for passage in row["passages"] if passage["gold"] is gold]


def test_rebuilding_gives_the_committed_rows():
    assert lines(rows()) == BUILT


def test_there_are_enough_questions_of_every_type():
    counts = Counter(row["qtype"] for row in ROWS)
    assert len(ROWS) >= 180
    assert set(counts) == set(QTYPES)
    least = {"unanswerable": 30, "bridge": 40, "single": 30, "near_miss": 25, "table": 20, "multilingual": 20}
    assert {qtype: counts[qtype] for qtype in least if counts[qtype] < least[qtype]} == {}
    assert min(counts.values()) >= 10


def test_some_bridges_take_three_documents():
    documents = [{e["passage"].split("#")[0] for e in row["evidence"]} for row in ROWS if row["qtype"] == "bridge"]
    assert min(map(len, documents)) >= 2
    assert sum(len(found) >= 3 for found in documents) >= 8


def test_rows_have_exactly_the_fields_of_the_schema():
    for row in ROWS:
        assert list(row) == ["id", "source", "question", "answers", "qtype", "passages", "evidence"]
        assert row["source"] == "embedded"
        assert {tuple(passage) for passage in row["passages"]} == {("id", "title", "text", "doc", "gold")}
        assert all(list(piece) == ["passage", "text"] for piece in row["evidence"])


def test_ids_and_questions_are_unique():
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert len({row["question"] for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert len({passage["id"] for passage in row["passages"]}) == len(row["passages"])


def test_pools_have_the_promised_size():
    count = Approximate().count
    for row in ROWS:
        assert FEWEST <= len(row["passages"]) <= MOST
        size = sum(count(f"{passage['title']}\n{passage['text']}") for passage in row["passages"])
        assert LEAST_TOKENS <= size <= MOST_TOKENS


def test_passages_are_verbatim_pieces_of_their_documents():
    documents = {file.stem: file.read_text("utf-8") for file in CORPUS.glob("*.md")}
    for row in ROWS:
        for passage in row["passages"]:
            assert passage["text"] in documents[passage["doc"]]


def test_evidence_is_verbatim_and_gold_is_where_it_lies():
    for row in ROWS:
        passages = {passage["id"]: passage for passage in row["passages"]}
        assert all(piece["text"] in passages[piece["passage"]]["text"] for piece in row["evidence"])
        assert {piece["passage"] for piece in row["evidence"]} == {p["id"] for p in row["passages"] if p["gold"]}


def test_the_evidence_holds_the_answer_and_no_other_passage_does():
    for row in ANSWERABLE:
        evidence = plain(" \n ".join(piece["text"] for piece in row["evidence"]))
        told = [plain(answer) in evidence for answer in row["answers"]]
        assert all(told) if row["qtype"] == "aggregation" else any(told), row["id"]
        for text in texts(row, gold=False):
            assert not any(plain(answer) in text for answer in row["answers"]), row["id"]


def test_the_suites_find_the_answer_in_the_evidence_and_in_no_other_passage():
    for row in ANSWERABLE:
        pieces = [piece["text"] for piece in row["evidence"]]
        told = [any(found(answer, piece) for piece in pieces) for answer in row["answers"]]
        assert all(told) if row["qtype"] == "aggregation" else any(told), row["id"]
        assert not any(answered(text, row["answers"]) for text in texts(row, gold=False)), row["id"]


def test_the_answer_is_gone_when_the_evidence_is():
    left = []
    for row in ANSWERABLE:
        rest = {passage["id"]: passage["text"] for passage in row["passages"]}
        for piece in row["evidence"]:
            rest[piece["passage"]] = rest[piece["passage"]].replace(piece["text"], "\n")
        left.append(any(answered(text, row["answers"]) for text in rest.values()))
    assert sum(left) <= 0.03 * len(left)


def test_unanswerable_questions_have_no_answer_and_no_gold():
    for row in ROWS:
        assert (row["qtype"] == "unanswerable") == (row["answers"] == []) == (row["evidence"] == [])
    written = {question.id: question for question in questions(QUESTIONS)}
    gone = [row for row in ROWS if written[row["id"]].absent]
    assert len(gone) >= 10
    for row in gone:
        assert not {passage["doc"] for passage in row["passages"]} & set(written[row["id"]].without)
        for text in texts(row, gold=False):
            assert not any(plain(answer) in text for answer in written[row["id"]].absent)


def test_what_was_taken_away_would_have_answered():
    built = chunks(CORPUS)
    for question in questions(QUESTIONS):
        taken = " ".join(plain(chunk.text) for chunk in built if chunk.doc in question.without)
        assert not question.absent or any(plain(answer) in taken for answer in question.absent), question.id


def test_gold_is_spread_over_the_pool():
    places = [
        at / (len(row["passages"]) - 1) for row in ROWS for at, passage in enumerate(row["passages"]) if passage["gold"]
    ]
    first = [next(at for at, passage in enumerate(row["passages"]) if passage["gold"]) for row in ANSWERABLE]
    assert 0.2 <= mean(places) <= 0.5
    assert sum(place > 0.5 for place in places) / len(places) >= 0.15
    assert sum(place == 0 for place in first) / len(first) <= 0.45


def test_the_retriever_alone_does_not_solve_it():
    corpus = chunks(CORPUS)
    index = Index.of([f"{chunk.title}\n{chunk.text}" for chunk in corpus])
    top3 = []
    for row in ANSWERABLE:
        scores = dict(zip((chunk.id for chunk in corpus), index.scores(row["question"]), strict=True))
        best = sorted(row["passages"], key=lambda passage: -scores[passage["id"]])[:3]
        top3.append(sum(passage["gold"] for passage in best) == sum(passage["gold"] for passage in row["passages"]))
    assert 0.4 <= mean(top3) <= 0.75


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question("q", "single", "who", ("Ada",), (("a", "no such words"),)), "is in 0 passages of 'a'"),
        (Question("q", "single", "who", ("Ada",), (("nowhere", "Ada"),)), "no document 'nowhere'"),
        (Question("q", "single", "who", ("Bo",), (("a", "Ada"),)), "the quotes do not hold"),
        (Question("q", "single", "who is Ada", ("Ada",), (("a", "Ada"),)), "gives away"),
        (Question("q", "single", "who", ("Ada",)), "come together"),
        (Question("q", "unanswerable", "who", ("Ada",), (("a", "Ada"),)), "do not fit the type"),
        (Question("q", "single", "who", ("Ada",), (("a", "Ada"),)), "the pool has 1 passages"),
    ],
)
def test_an_author_is_told_what_is_wrong(question, message):
    with pytest.raises(DataError, match=message):
        Builder((Chunk("a#1", "a", "A", "It was Ada."),)).row(question)


def test_a_document_without_a_title_is_refused(tmp_path):
    (tmp_path / "x.md").write_text("no title\n", "utf-8")
    with pytest.raises(DataError, match=r"x\.md, line 1"):
        chunks(tmp_path)


def test_a_misspelt_field_is_refused(tmp_path):
    for qtype in QTYPES:
        (tmp_path / f"{qtype}.toml").write_text("", "utf-8")
    (tmp_path / "single.toml").write_text('[a]\nask = "who"\nanswer = ["x"]\n', "utf-8")
    with pytest.raises(DataError, match=r"single/a: unknown field \['answer'\]"):
        questions(tmp_path)


def test_blocks_are_never_cut_and_headings_stay_with_their_text(tmp_path):
    code = "```json\n{\n\n" + '  "key": 1,\n' * 60 + "}\n```"
    body = "# T\nIntro line.\n\n## Heading\n\n" + "word " * 150 + f"\n\n{code}\n\nEnd."
    (tmp_path / "t.md").write_text(body, "utf-8")
    found = [chunk.text for chunk in chunks(tmp_path)]
    assert found[0] == "Intro line.\n\n## Heading\n\n" + "word " * 150
    assert found[1] == code
    assert found[2] == "End."


def test_terms_split_scripts_without_spaces_into_pairs():
    assert terms("Tern 3X: 警報音") == ["tern", "3x", "警", "報", "音", "警報", "報音"]
