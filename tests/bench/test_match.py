from __future__ import annotations

import pytest

from ragthrift_bench.harness.match import answered, checkable, exact, f1, found, normal, refused, sentence_ranges


def test_normalisation_is_squads():
    assert normal("The  Eiffel-Tower, (a) tower!") == "eiffeltower tower"
    assert normal("An apple; the U.S.") == "apple us"
    assert normal("...") == ""


@pytest.mark.parametrize(
    ("needle", "text", "there"),
    [
        ("the Blue Mill", "Near a blue mill, by the sea", True),
        ("mill", "He is a millionaire", False),
        ("1871", "In 1871.", True),
        ("Nore Ada", "Ada Nore", False),
        ("mill", "millionaires own a mill", True),
        ("20センチ", "プローブは荷物の中心から20センチ以内に", True),
        ("กรุงเทพ", "เมืองกรุงเทพมหานคร", True),
        ("", "anything", False),
        ("the", "the", False),
    ],
)
def test_found_wants_whole_words_in_a_row(needle: str, text: str, there: bool):
    assert found(needle, text) is there


def test_yes_and_no_cannot_be_looked_for():
    assert not checkable(["yes"])
    assert not checkable(["No."])
    assert not checkable([])
    assert checkable(["no", "Norway"])


@pytest.mark.parametrize(
    ("reply", "answers", "em", "overlap"),
    [
        ("The Blue Mill", ["blue mill"], 1.0, 1.0),
        ("Ada Nore in 1871", ["Ada Nore"], 0.0, 2 * 2 / (4 + 2)),
        ("Ada", ["Bob", "Ada Nore"], 0.0, 2 / 3),
        ("yes it is", ["yes"], 0.0, 0.0),
        ("yes", ["yes"], 1.0, 1.0),
        ("", ["Ada"], 0.0, 0.0),
        ("Ada", [], 0.0, 0.0),
    ],
)
def test_em_and_f1(reply: str, answers: list[str], em: float, overlap: float):
    assert exact(reply, answers) == em
    assert f1(reply, answers) == pytest.approx(overlap)


def test_any_answer_counts():
    assert answered("It was Ada Nore.", ["Bob", "ada nore"])
    assert not answered("It was Ada.", ["Bob", "ada nore"])


def test_refusals():
    assert refused("Unanswerable.")
    assert refused("")
    assert refused("The context does not mention it")
    assert not refused("Ada Nore")


def test_sentence_ranges_are_verbatim():
    text = "  Dr. Smith left. He\nran!\n\n| a | b |\r\n🙂 Done. "
    assert [text[start:end] for start, end in sentence_ranges(text)] == [
        "Dr. Smith left.",
        "He",
        "ran!",
        "| a | b |",
        "🙂 Done.",
    ]
