"""Whatever comes in, a request goes through: the fallback is named, nothing is lost, and only wrong settings raise."""

from __future__ import annotations

import math
import threading

import pytest

from ragthrift.compress import Certificate, Compressor
from ragthrift.errors import ConfigurationError, MissingModel
from ragthrift.events import Event, listen
from ragthrift.testing import FixedScorer, HashEmbedder
from ragthrift.tokens import APPROXIMATE, Tokenizers, render
from ragthrift.types import Passage

TOWER = Passage("The Eiffel Tower opened in 1889. It is in Paris. Cats sleep. Dogs bark at night. Rain falls in May.")
SOUP = Passage("Onion soup needs onions. Bread goes on top. Cheese melts. It is served hot. Wine goes with it.")
SOUP_LINE = Passage("Onion soup needs onions, bread on top and a lot of melted cheese.")
QUERY = "When did the Eiffel Tower open?"


class Raises:
    def score(self, query, texts):
        raise RuntimeError("boom")


class Hangs:
    def __init__(self):
        self.never = threading.Event()

    def score(self, query, texts):
        self.never.wait()
        return [0.0] * len(texts)


class Gives:
    def __init__(self, reply):
        self.reply = reply

    def score(self, query, texts):
        return self.reply(len(texts))


class TwoSizes:
    def embed(self, texts, *, role="passage"):
        return [[1.0] * (3 if role == "query" else 4) for _ in texts]


class Unset:
    def score(self, query, texts):
        raise MissingModel("no file of the model: bring it")


def sure(lean, passages, budget):
    places = sorted(p.index for p in (*lean.kept, *lean.dropped))
    assert places == list(range(len(passages)))
    assert APPROXIMATE.count(render(lean.kept)) == lean.tokens_after <= budget


def test_no_passages_give_nothing():
    lean = Compressor(budget=10).lean(QUERY, [])
    assert (lean.kept, lean.dropped, lean.tokens_before, lean.tokens_after, lean.abstained) == ((), (), 0, 0, False)


def test_empty_documents_are_dropped_and_the_rest_kept():
    passages = [Passage(""), Passage(" \n "), TOWER, Passage("\u200b")]
    lean = Compressor(budget=12).lean(QUERY, passages)
    assert [p.index for p in lean.kept] == [2]
    assert "1889" in lean.kept[0].text
    sure(lean, passages, 12)


@pytest.mark.parametrize("content", [None, 42, 3.5, b"bytes", ["list"]])
def test_content_that_is_no_text_is_read_as_empty(content):
    passages = [Passage(content), TOWER]
    lean = Compressor(budget=12).lean(QUERY, passages)
    assert [p.index for p in lean.kept] == [1]
    assert [p.index for p in lean.dropped] == [0]


@pytest.mark.parametrize("field", ["title", "label", "score"])
def test_a_field_of_a_wrong_type_breaks_nothing(field):
    passages = [Passage("Some text.", **{field: ["x"]}), TOWER]
    lean = Compressor(budget=12).lean(QUERY, passages)
    assert lean.receipt.fallbacks == ()
    assert [p.index for p in lean.kept] == [1]


def test_equal_ids_are_told_apart_by_place():
    passages = [Passage("Cats sleep all day long in the sun.", id="a"), Passage(TOWER.text, id="a")]
    lean = Compressor(budget=12).lean(QUERY, passages)
    assert [(p.index, p.id) for p in lean.kept] == [(1, "a")]
    assert [(p.index, p.id) for p in lean.dropped] == [(0, "a")]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "no word of the query is in the passages"),
        (" \n\t ", "no word of the query is in the passages"),
        ("zzz qqq", "no word of the query is in the passages"),
        ("???", "no word of the query is in the passages"),
    ],
)
def test_a_query_that_says_nothing_keeps_the_retrievers_order(query, why):
    lean = Compressor(budget=12).lean(query, [TOWER, SOUP])
    assert lean.receipt.fallbacks == (why,)
    assert [p.text for p in lean.kept] == ["The Eiffel Tower opened in 1889. It is in Paris."]
    assert [d.reason for d in lean.receipt.decisions] == ["pass_through", "over_budget", "over_budget"]
    sure(lean, [TOWER, SOUP], 12)


def test_an_embedder_counts_where_no_word_is_shared():
    class Meaning:
        def embed(self, texts, *, role="passage"):
            return [[1.0, 0.0] if "melts" in text or "Suppe" in text else [0.0, 1.0] for text in texts]

    lean = Compressor(budget=12, embedder=Meaning()).lean("Suppe?", [SOUP, TOWER])
    assert lean.receipt.fallbacks == ()
    scores = {SOUP.text[d.span.start : d.span.end]: d.score for d in lean.receipt.decisions if d.index == 0}
    assert scores["Cheese melts."] > scores["Bread goes on top."]


def test_a_query_of_a_megabyte_is_answered():
    lean = Compressor(budget=12).lean(QUERY * 35_000, [TOWER, SOUP])
    assert "1889" in lean.kept[0].text
    assert lean.receipt.fallbacks == ()


class Counting:
    """Counts how much text is given to it."""

    def __init__(self):
        self.chars = 0

    def count(self, text):
        self.chars += len(text)
        return APPROXIMATE.count(text)


@pytest.mark.parametrize("text", ["Cat 7 sat on mat 9. Dog 8 ran to cat 7. ", "x", "世界"])
@pytest.mark.parametrize("budget", [100, 0.25])
def test_a_passage_of_a_megabyte_is_read_a_bounded_number_of_times(text, budget):
    given = [Passage((text * 1_000_000)[:1_000_000]), Passage("Cat 7 is in 世界.")]
    counter = Counting()
    lean = Compressor(budget=budget, counter=counter).lean("cat 7 世界", given)
    assert counter.chars < 20 * 1_000_000
    assert lean.receipt.fallbacks == ()
    assert lean.tokens_after <= (budget if budget == 100 else lean.tokens_before // 4)


def test_the_work_of_choosing_grows_with_the_text_and_not_with_its_square():
    def read(sentences):
        counter = Counting()
        text = " ".join(f"Sentence {n} tells of thing {n * n}." for n in range(sentences))
        Compressor(budget=0.5, counter=counter).lean("sentence thing 4 9 16", [Passage(text)])
        return counter.chars / len(text)

    assert read(8000) < 1.5 * read(2000)


def test_a_passage_of_five_megabytes_is_cut_to_the_budget():
    given = [Passage("word " * 1_000_000), TOWER]
    lean = Compressor(budget=8).lean(QUERY, given)
    assert [p.text for p in lean.kept] == ["The Eiffel Tower opened in 1889."]
    sure(lean, given, 8)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_retriever_scores_that_are_no_numbers_are_ignored(score):
    given = [Passage(TOWER.text, score=score), Passage(SOUP.text, score=score)]
    for query in (QUERY, "zzz"):
        lean = Compressor(budget=12).lean(query, given)
        assert "1889" in lean.kept[0].text
        assert all(math.isfinite(d.score) for d in lean.receipt.decisions)


@pytest.mark.parametrize(
    ("scorer", "why"),
    [
        (Raises(), "RuntimeError: boom"),
        (Hangs(), "no answer within 0.2 s"),
        (Gives(lambda n: [math.nan] * n), "the result of text 0 is not finite"),
        (Gives(lambda n: [math.inf] * n), "the result of text 0 is not finite"),
        (Gives(lambda n: [0.5] * (n - 1)), "results for"),
        (Gives(lambda n: ["high"] * n), "something other than numbers"),
        (Gives(lambda n: [None] * n), "something other than numbers"),
        (Gives(lambda n: None), "TypeError"),
    ],
)
def test_a_scorer_that_fails_is_done_without(scorer, why):
    events: list[Event] = []
    with listen(events.append):
        lean = Compressor(budget=12, scorer=scorer, timeout_s=0.2).lean(QUERY, [TOWER, SOUP])
    assert [p.text for p in lean.kept] == [p.text for p in Compressor(budget=12).lean(QUERY, [TOWER, SOUP]).kept]
    assert len(lean.receipt.fallbacks) == 1
    assert lean.receipt.fallbacks[0].startswith("scorer: ")
    assert why in lean.receipt.fallbacks[0]
    assert [e.name for e in events] == ["compress.fallback", "compress.done"]
    assert events[0].fields["reason"] == lean.receipt.fallbacks[0]


@pytest.mark.parametrize("scorer", [Raises(), Hangs()])
async def test_a_scorer_that_fails_is_done_without_when_awaited(scorer):
    lean = await Compressor(budget=12, scorer=scorer, timeout_s=0.2).alean(QUERY, [TOWER, SOUP])
    assert "1889" in lean.kept[0].text
    assert len(lean.receipt.fallbacks) == 1


def test_both_failures_are_named_where_no_word_helps():
    lean = Compressor(budget=12, scorer=Raises()).lean("zzz", [TOWER, SOUP])
    assert lean.receipt.fallbacks == ("scorer: RuntimeError: boom", "no word of the query is in the passages")


class Embeds:
    def __init__(self, reply):
        self.reply = reply

    def embed(self, texts, *, role="passage"):
        return self.reply(texts)


def broken_embedder(texts):
    raise OSError("disk")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (broken_embedder, "OSError: disk"),
        (lambda texts: threading.Event().wait(), "no answer within 0.2 s"),
        (lambda texts: [[math.nan, 1.0] for _ in texts], "the result of text 0 is not finite"),
        (lambda texts: [[1.0, 0.0]] * (len(texts) + 1), "2 results for 1 texts"),
        (lambda texts: [1.0 for _ in texts], "something other than numbers"),
    ],
)
def test_an_embedder_that_fails_is_done_without(reply, why):
    lean = Compressor(budget=12, embedder=Embeds(reply), timeout_s=0.2).lean(QUERY, [TOWER, SOUP])
    assert [p.text for p in lean.kept] == [p.text for p in Compressor(budget=12).lean(QUERY, [TOWER, SOUP]).kept]
    assert len(lean.receipt.fallbacks) == 1
    assert lean.receipt.fallbacks[0].startswith("embedder: ")
    assert why in lean.receipt.fallbacks[0]


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [1e300, 1e300]])
def test_vectors_that_tell_nothing_break_nothing(vector):
    lean = Compressor(budget=12, embedder=Embeds(lambda texts: [vector for _ in texts])).lean(QUERY, [TOWER, SOUP])
    assert "1889" in lean.kept[0].text


def test_vectors_of_two_sizes_break_nothing():
    given = [TOWER, SOUP]
    lean = Compressor(budget=12, embedder=TwoSizes()).lean(QUERY, given)
    assert len(lean.receipt.fallbacks) == 1
    sure(lean, given, 12)
    assert lean.kept


def test_a_missing_model_is_never_hidden():
    with pytest.raises(MissingModel, match="bring it"):
        Compressor(budget=12, scorer=Unset()).lean(QUERY, [TOWER, SOUP])
    with pytest.raises(MissingModel, match=r"tokenizer\.json"):
        Compressor(budget=12, counter=Tokenizers("/nowhere/tokenizer.json")).lean(QUERY, [TOWER])


async def test_a_missing_model_is_never_hidden_when_awaited():
    with pytest.raises(MissingModel, match="bring it"):
        await Compressor(budget=12, scorer=Unset()).alean(QUERY, [TOWER, SOUP])


def test_a_budget_smaller_than_a_unit_keeps_the_beginning_of_the_best_passage():
    tower = Passage("The Eiffel Tower opened in the spring of 1889 after two years of work.")
    given = [SOUP_LINE, tower]
    lean = Compressor(budget=4).lean(QUERY, given)
    assert [p.text for p in lean.kept] == ["The Eiffel Tower"]
    assert lean.receipt.fallbacks == ("no unit fits the budget",)
    assert [(d.index, d.kept, d.span.start, d.span.end) for d in lean.receipt.decisions] == [
        (0, False, 0, len(SOUP_LINE.text)),
        (1, True, 0, 16),
        (1, False, 16, len(tower.text)),
    ]
    sure(lean, given, 4)


def test_a_budget_smaller_than_a_label_keeps_nothing_and_says_so():
    given = [Passage(TOWER.text, label="<document number='1' kind='web page'>\n")]
    lean = Compressor(budget=4).lean(QUERY, given)
    assert lean.kept == ()
    assert [p.index for p in lean.dropped] == [0]
    assert lean.abstained
    assert lean.receipt.fallbacks == ("no unit fits the budget",)


def test_huge_units_do_not_crowd_out_those_that_fit():
    bait = Passage("\n\n".join(f"```\nEiffel Tower open {n} " + "Eiffel Tower open " * 60 + "\n```" for n in range(40)))
    lean = Compressor(budget=20).lean(QUERY, [bait, TOWER])
    assert lean.receipt.fallbacks == ()
    assert [p.index for p in lean.kept] == [1]
    assert lean.kept[0].text.startswith("The Eiffel Tower opened in 1889.")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "budget"),
        ({"budget": 0}, "budget"),
        ({"budget": -5}, "budget"),
        ({"budget": 0.0}, "budget"),
        ({"budget": 1.5}, "budget"),
        ({"budget": math.nan}, "budget"),
        ({"budget": True}, "budget"),
        ({"budget": "many"}, "budget"),
        ({"budget": 9, "order": "best"}, "order"),
        ({"budget": 9, "on_empty": "raise"}, "on_empty"),
        ({"budget": 9, "floor": 2}, "floor"),
        ({"budget": 9, "floor": math.nan}, "floor"),
        ({"budget": 9, "floor": "high"}, "floor"),
        ({"budget": 9, "per_source": 0}, "per_source"),
        ({"budget": 9, "per_source": -0.1}, "per_source"),
        ({"budget": 9, "scored_share": 1.1}, "scored_share"),
        ({"budget": 9, "min_tokens": -1}, "min_tokens"),
        ({"budget": 9, "min_tokens": "few"}, "min_tokens"),
        ({"budget": 9, "timeout_s": 0}, "timeout_s"),
        ({"budget": 9, "timeout_s": math.nan}, "timeout_s"),
        ({"budget": 9, "timeout_s": "soon"}, "timeout_s"),
        ({"budget": 9, "joiner": None}, "joiner"),
        ({"budget": 9, "scorer": "minilm"}, "scorer"),
        ({"budget": 9, "scorer": FixedScorer}, "scorer"),
        ({"budget": 9, "embedder": FixedScorer([])}, "embedder"),
        ({"budget": 9, "counter": len}, "counter"),
        ({"max_loss": 0.0001}, "max_loss"),
        ({"max_loss": math.nan}, "max_loss"),
        (
            {"max_loss": 0.02, "floor": 0.1, "certificate": Certificate(0.02, 0.1, 500, 2, 0.01, 0.95, "lexical")},
            "floor",
        ),
        (
            {
                "max_loss": 0.02,
                "embedder": HashEmbedder(),
                "certificate": Certificate(0.02, 0.1, 500, 2, 0.01, 0.95, "lexical"),
            },
            "lexical",
        ),
        ({"max_loss": 0.01, "certificate": Certificate(0.02, 0.1, 500, 2, 0.01, 0.95, "lexical")}, "max_loss"),
    ],
)
def test_a_wrong_setting_raises_at_once_and_is_named(settings, named):
    with pytest.raises(ConfigurationError, match=named):
        Compressor(**settings)


def test_shadow_decides_and_leaves_the_passages_alone():
    given = [TOWER, SOUP]
    events: list[Event] = []
    with listen(events.append):
        lean = Compressor(budget=12, shadow=True).lean(QUERY, given)
    assert [p.text for p in lean.kept] == [TOWER.text, SOUP.text]
    assert lean.dropped == ()
    assert lean.saved == 0
    assert lean.receipt.shadow
    assert [d.kept for d in lean.receipt.decisions].count(True) < len(lean.receipt.decisions)
    assert events[-1].fields["shadow"] is True
    assert events[-1].fields["tokens_after"] <= 12
