import pytest

from ragthrift.errors import ConfigurationError
from ragthrift.models.lexical import Lexical, words
from ragthrift.testing import check_scorer


def test_conforms():
    check_scorer(Lexical)


def test_rare_words_count_more_than_common_ones():
    texts = ["the tower", "the 1889 fair", "the soup", "the weather"]
    scores = Lexical().score("the 1889", texts)
    assert scores[1] == max(scores)
    assert scores[0] > 0


def test_no_shared_word_scores_zero():
    assert Lexical().score("zebra", ["lion", ""]) == [0.0, 0.0]


def test_a_long_text_needs_more_matches():
    short, long = Lexical().score("tower", ["tower", "tower " + "filler " * 200])
    assert short > long


def test_words_fold_case_width_and_accent_forms():
    assert words("STRASSE Straße ＦＵＬＬ x_1") == ["strasse", "strasse", "full", "x", "1"]


def test_scripts_without_spaces_give_bigrams():
    assert words("東京都 abc") == ["東京", "京都", "abc"]
    assert words("水") == ["水"]
    scores = Lexical().score("東京の人口", ["東京の人口は約1400万人", "大阪の名物"])
    assert scores[0] > scores[1]


def test_queries_and_texts_without_words():
    assert Lexical().score("  ", ["a"]) == [0.0]
    assert Lexical().score("a", ["", "\x00", "\ud800"]) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("wrong", [{"k1": -1}, {"b": 1.5}, {"k1": float("nan")}])
def test_wrong_settings(wrong):
    with pytest.raises(ConfigurationError, match=f"got {next(iter(wrong.values()))}"):
        Lexical(**wrong)
