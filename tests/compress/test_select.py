"""What the compressor keeps, and why."""

from __future__ import annotations

import pytest

from ragthrift.compress import Compressor
from ragthrift.compress.guard import asks_for_everything
from ragthrift.models.onnx import OnnxEmbedder, OnnxScorer
from ragthrift.testing import FixedScorer
from ragthrift.tokens import APPROXIMATE, render
from ragthrift.types import Passage

FILLER = "Cats sleep in the sun. Dogs bark at the moon. Rain falls on the roof. Trains run late in winter."


def kept(lean):
    return [p.text for p in lean.kept]


def all_kept(lean):
    return "\n".join(kept(lean))


# Facts that look alike


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The rate rose by 12 % last year.", "The rate rose by 21 % last year."),
        ("Staff may enter the vault.", "Staff may not enter the vault."),
        ("Staff can enter the vault.", "Staff can't enter the vault."),
        ("Staff can enter the vault but guests can't.", "Staff can't enter the vault but guests can."),
        ("Apple sued Google over patents in 2012.", "Google sued Apple over patents in 2012."),
        ("The vault holds $5 million.", "The vault holds €5 million."),
        ("The vault holds 5 million.", "The vault holds 5 % million."),
        ("The vault is kept at -5 degrees.", "The vault is kept at 5 degrees."),
        ("The vault opens if a < b.", "The vault opens if a > b."),
        ("Das Personal darf den Vault betreten.", "Das Personal darf den Vault nicht betreten."),
        ("职员可以进入金库。", "职员不可以进入金库。"),
        ("Vault status: ✅", "Vault status: ❌"),
        ("The vault is open.", "The vault is open?"),
    ],
)
def test_facts_that_only_look_alike_are_both_kept(one, other):
    given = [Passage(one), Passage(other), Passage(FILLER)]
    budget = APPROXIMATE.count(render(given[:2]))
    lean = Compressor(budget=budget + 2).lean(f"{one} {other}", given)
    assert one in all_kept(lean)
    assert other in all_kept(lean)
    assert all(d.reason != "duplicate" for d in lean.receipt.decisions)


def test_words_that_all_passages_share_still_tell_direction():
    given = [
        Passage("Apple sued Google in 2012."),
        Passage("Google sued Apple in 2012."),
        Passage("Apple and Google settled what Apple sued Google for. In court, Google and Apple met."),
        Passage("Google was sued in court. Apple was sued in court too."),
    ]
    lean = Compressor(budget=18).lean("Who sued Google or Apple in 2012?", given)
    assert kept(lean)[:2] == ["Apple sued Google in 2012.", "Google sued Apple in 2012."]


@pytest.mark.parametrize(
    "again",
    [
        "The vault holds 12 gold bars.",
        "  the vault holds 12 gold bars",
        "The vaults hold 12 gold bars.",
        "**The vault** holds 12 gold bars!",
    ],
)
def test_a_true_repeat_is_dropped(again):
    given = [Passage("The vault holds 12 gold bars."), Passage(again), Passage(FILLER)]
    lean = Compressor(budget=20).lean("How many gold bars does the vault hold?", given)
    reasons = {d.index: d.reason for d in lean.receipt.decisions if d.index < 2}
    assert sorted(reasons.values()) == ["duplicate", "kept"]


def test_equal_rows_of_two_tables_are_two_facts():
    tables = "# Income\n\n| year | m |\n|---|---|\n| 2019 | 5 |\n\n# Loss\n\n| year | m |\n|---|---|\n| 2019 | 5 |\n"
    lean = Compressor(budget=24).lean("2019 income and loss", [Passage(tables), Passage(FILLER)])
    assert all_kept(lean).count("| 2019 | 5 |") == 2


def test_equal_sentences_under_two_titles_are_two_facts():
    given = [Passage("Founded in 1990.", title="Acme"), Passage("Founded in 1990.", title="Bolt"), Passage(FILLER)]
    lean = Compressor(budget=14).lean("Were Acme and Bolt founded in 1990?", given)
    assert kept(lean) == ["Founded in 1990.", "Founded in 1990."]


def test_overlapping_chunks_give_the_shared_part_once():
    shared = "The bridge over the Elbe was closed in 2024 after a crane fell on it."
    given = [
        Passage(f"The harbour is old. Ships come in daily. {shared}"),
        Passage(f"{shared} Traffic was sent over the old bridge. Repairs took a year."),
    ]
    lean = Compressor(budget=25).lean("When was the bridge over the Elbe closed?", given)
    assert all_kept(lean).count(shared) == 1
    assert [d.reason for d in lean.receipt.decisions].count("duplicate") == 1


# What a unit cannot stand without


def test_a_sentence_that_points_back_brings_the_sentence_before():
    text = f"{FILLER} Ada Lovelace lived in London. She wrote the first program in 1843. {FILLER}"
    lean = Compressor(budget=20).lean("Who wrote the first program in 1843?", [Passage(text)])
    assert kept(lean) == ["Ada Lovelace lived in London. She wrote the first program in 1843."]
    assert {d.reason for d in lean.receipt.decisions if d.kept} == {"kept", "repair"}


def test_a_row_brings_its_header_and_its_heading():
    table = "| name | opened |\n|---|---|\n| Elbe bridge | 1889 |\n| Rhine bridge | 1911 |"
    text = f"# Bridges\n\n{table}\n\n# Cats\n\nThey sleep."
    lean = Compressor(budget=18).lean("When was the Rhine bridge opened?", [Passage(text), Passage(FILLER)])
    assert kept(lean)[0].startswith("# Bridges\n\n| name | opened |\n|---|---|\n| Rhine bridge | 1911 |")


def test_a_row_that_only_fits_without_its_header_is_not_kept():
    header = "| " + " | ".join(f"a long column name {n}" for n in range(9)) + " |"
    row = "| x1 | " + " | ".join("1" * 8) + " |"
    text = f"{header}\n|{'---|' * 9}\n{row}\n\nThe x1 is 1."
    lean = Compressor(budget=14).lean("What is x1?", [Passage(text), Passage(FILLER)])
    assert row not in all_kept(lean)
    assert "The x1 is 1." in all_kept(lean)


def test_a_fence_and_a_json_object_stay_whole():
    code = "```python\ndef vault():\n\n    return 12\n```"
    record = '{"vault": {"bars": 12, "colour": "gold"}}'
    for block in (code, record):
        for budget in range(1, 40):
            lean = Compressor(budget=budget).lean("vault 12", [Passage(f"{FILLER}\n\n{block}\n\n{FILLER}")])
            text = all_kept(lean)
            assert block in text or not any(line in text for line in ("```", "return", "{", "}"))


# The bridge


@pytest.mark.parametrize(
    ("query", "first", "second", "filler"),
    [
        (
            "Where was the director of the film Silent Harbor born?",
            Passage("Silent Harbor is a 1958 film. It was directed by Marta Kessel.", title="Silent Harbor"),
            Passage("Marta Kessel was a film maker. She was born in Tartu.", title="Marta Kessel"),
            Passage("Olaf Brandt was a painter of harbors. He was born in Bergen.", title="Olaf Brandt"),
        ),
        (
            "Where was the director of the film Silent Harbor born?",
            Passage("Silent Harbor is a 1958 film that was directed by Marta Kessel."),
            Passage("Marta Kessel was a maker of plays from Tartu."),
            Passage("Olaf Brandt was a painter of plays from Bergen."),
        ),
        (
            "「静かな港」の監督の出身地はどこですか。",
            Passage("「静かな港」は1958年の映画です。監督は岸本真理です。", title="静かな港"),
            Passage("岸本真理は映画作家です。青森で生まれた。", title="岸本真理"),
            Passage("大野次郎は画家です。長崎で生まれた。", title="大野次郎"),
        ),
        (
            "What fixes the failure of the night import?",
            Passage("The night import fails with ERR-4012 since Monday."),
            Passage("ERR-4012: raise the limit of open files to 4096."),
            Passage("ERR-5120: give the service user the right to write."),
        ),
    ],
)
def test_the_second_hop_is_found_through_what_the_first_names(query, first, second, filler):
    others = [Passage(f"Number {n}: {filler.text}", title=filler.title and f"{filler.title} {n}") for n in range(3)]
    given = [filler, *others, first, second]
    budget = APPROXIMATE.count(render([first, second]))
    lean = Compressor(budget=budget + 1).lean(query, given)
    assert {4, 5} <= {p.index for p in lean.kept}
    best = {}
    for d in lean.receipt.decisions:
        best[d.index] = max(best.get(d.index, 0.0), d.score)
    assert best[5] > max(best[n] for n in range(4))


# Models


class Watching:
    """Counts the pairs; finds a paraphrase that shares no word with the query."""

    def __init__(self, mark):
        self.mark, self.pairs, self.calls = mark, 0, 0

    def score(self, query, texts):
        self.pairs += len(texts)
        self.calls += 1
        return [9.0 if self.mark in text else -9.0 for text in texts]


def pool_of(count):
    return [
        Passage(f"Note {n} on tower opening hours: entry {n} is for staff. Ask at desk {n}. Hall {n} has chairs.")
        for n in range(count)
    ]


@pytest.mark.parametrize("share", [0.0, 0.1, 1 / 3, 1.0])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_the_cascade_scores_no_more_than_its_share(share, count):
    scorer = Watching("nothing")
    lean = Compressor(budget=10, scorer=scorer, scored_share=share).lean("When does the tower open?", pool_of(count))
    assert scorer.pairs == lean.receipt.scored_pairs <= max(2, share * lean.receipt.possible_pairs)
    assert lean.receipt.possible_pairs == 3 * count


def best_scores(lean):
    best = {}
    for d in lean.receipt.decisions:
        best[d.index] = max(best.get(d.index, 0.0), d.score)
    return best


def test_a_paraphrase_is_lifted_by_the_scorer_alone():
    given = [*pool_of(4), Passage(f"Visitors may come in from nine o'clock. {FILLER}")]
    query = "When does the tower open?"
    words, both = (
        best_scores(Compressor(budget=30, scorer=scorer, scored_share=1.0).lean(query, given))
        for scorer in (None, Watching("nine"))
    )
    assert both[4] > 5 * words[4]
    assert all(both[n] < words[n] for n in range(4))


class Spans:
    """A scorer that points at ranges."""

    def __init__(self, spans):
        self.spans = spans

    def score(self, query, texts):
        raise AssertionError("a scorer that finds spans is asked for them")

    def relevant_spans(self, query, texts):
        return [self.spans(text) for text in texts]


def test_relevant_spans_lift_the_units_that_they_touch():
    def spans(text):
        at = text.find("nine")
        return [(at - 3, at + 4, 0.99)] if at >= 0 else []

    given = [*pool_of(4), Passage("Bread is baked here. Visitors come at nine o'clock. Chairs are red.")]
    lean = Compressor(budget=12, scorer=Spans(spans)).lean("When does the tower open?", given)
    assert "Visitors come at nine o'clock." in all_kept(lean)
    assert lean.receipt.scored_pairs == len(given)


@pytest.mark.parametrize("bad", [lambda text: [(0, 1)], lambda text: None, lambda text: [("a", "b", "c")]])
def test_spans_that_are_none_are_done_without(bad):
    lean = Compressor(budget=12, scorer=Spans(bad)).lean("When does the tower open?", pool_of(4))
    assert len(lean.receipt.fallbacks) == 1
    assert lean.kept


def test_the_real_models_find_what_words_do_not():
    given = [
        Passage("The company picnic is in June. Bring a hat. Lunch is at noon."),
        Passage("Car parks fill up early. The lot behind the mill is free. Bikes are welcome."),
        Passage("Physicians advise adults to rest about eight hours each night. Screens delay it. So does coffee."),
        Passage("The sleeper train to Oslo has four beds. It takes ten hours. People like it."),
    ]
    query = "How long should people sleep?"
    assert "eight hours" not in all_kept(Compressor(budget=32).lean(query, given))
    lean = Compressor(budget=32, scorer=OnnxScorer(), embedder=OnnxEmbedder(), scored_share=1.0).lean(query, given)
    assert lean.receipt.fallbacks == ()
    assert "about eight hours each night" in all_kept(lean)
    assert lean.receipt.scored_pairs == lean.receipt.possible_pairs


async def test_the_real_models_answer_the_same_when_awaited():
    given = pool_of(6)
    compressor = Compressor(budget=20, scorer=OnnxScorer(), embedder=OnnxEmbedder())
    one = compressor.lean("When does the tower open?", given)
    other = await compressor.alean("When does the tower open?", given)
    assert (one.kept, one.receipt.decisions) == (other.kept, other.receipt.decisions)


# Passing through


@pytest.mark.parametrize(
    "query",
    [
        "Summarise the report.",
        "Summarize the main points",
        "TL;DR",
        "List all bridges that are named.",
        "list every bridge",
        "What are all the dates?",
        "How many different bridges are there?",
        "Fasse den Bericht zusammen.",
        "Gib mir eine Zusammenfassung",
        "Liste alle Brücken auf",
        "Nenne mir alle Brücken.",
        "Résume le rapport.",
        "Liste tous les ponts",
        "Listez toutes les villes",
        "Resume el informe",
        "Enumera los puentes",
        "Lista todos los puentes",
        "Resuma o relatório",
        "Riassumi il rapporto",
        "Elenca i ponti",
        "Vat samen: geef een samenvatting",
        "总结这份报告",
        "列出所有桥梁",
        "報告を要約してください",
        "橋の一覧",
        "보고서를 요약해 줘",
        "Перечисли все мосты",
    ],
)
def test_questions_that_need_everything_pass_through(query):
    assert asks_for_everything(query)
    given = pool_of(20)
    lean = Compressor(budget=0.2).lean(query, given)
    assert kept(lean) == [p.text for p in given]
    assert {d.reason for d in lean.receipt.decisions} == {"pass_through"}
    tight = Compressor(budget=50).lean(query, given)
    assert tight.tokens_after <= 50


@pytest.mark.parametrize(
    "query",
    [
        "When did trading resume after the crash?",
        "Who resumed the talks?",
        "When was the Elbe bridge opened?",
        "How many people live in Köln?",
        "Who is on the list?",
        "Wann wurde die Brücke eröffnet?",
        "Quand le pont a-t-il ouvert ?",
        "桥什么时候开放?",
    ],
)
def test_questions_with_one_answer_do_not_pass_through(query):
    assert not asks_for_everything(query)


def test_a_short_context_passes_through_unless_the_budget_is_in_tokens():
    given = pool_of(4)
    assert Compressor(budget=0.2).lean("tower", given).saved == 0
    assert Compressor(budget=0.2, min_tokens=0).lean("tower", given).saved > 0.7
    assert Compressor(budget=20).lean("tower", given).tokens_after <= 20


# Floors, caps, order


def test_on_empty_says_what_becomes_of_passages_that_are_all_irrelevant():
    given = pool_of(4)
    before = APPROXIMATE.count(render(given))
    at = {
        how: Compressor(budget=before - 1, floor=0.999, on_empty=how).lean("Is the tower on a hill?", given)
        for how in ("keep_top1", "pass_through", "abstain")
    }
    assert [p.text for p in at["keep_top1"].kept] == [given[at["keep_top1"].kept[0].index].text]
    assert [len(lean.kept) for lean in at.values()] == [1, 4, 0]
    assert [lean.abstained for lean in at.values()] == [False, False, True]
    assert len(at["abstain"].dropped) == 4
    assert {d.reason for d in at["abstain"].receipt.decisions} == {"irrelevant"}
    assert all(lean.tokens_after < before for lean in at.values())


def test_blank_passages_and_a_floor_break_nothing():
    given = [Passage("", title="Tower " * 30), Passage("", title="Bridge " * 30)]
    lean = Compressor(budget=50, floor=0.5).lean("tower", given)
    assert lean.tokens_after <= 50
    assert not any("Error" in why for why in lean.receipt.fallbacks)


def test_units_below_the_floor_are_dropped_as_irrelevant():
    lean = Compressor(budget=120, floor=0.2).lean(
        "When was the Elbe bridge opened?", [Passage(f"The Elbe bridge was opened in 1889. {FILLER}"), *pool_of(8)]
    )
    assert "1889" in all_kept(lean)
    assert "irrelevant" in {d.reason for d in lean.receipt.decisions}
    assert all(d.score >= 0.2 for d in lean.receipt.decisions if d.reason == "kept")


def test_order_is_that_of_the_sources_or_by_score():
    given = [
        Passage("The tower has stairs. " + FILLER),
        Passage("The Eiffel Tower was opened in 1889. " + FILLER),
        Passage("A tower opened near Eiffel street. " + FILLER),
    ]
    query = "When was the Eiffel Tower opened?"
    by = {order: Compressor(budget=60, order=order).lean(query, given) for order in ("source", "score", "edges")}
    assert [p.index for p in by["source"].kept] == [0, 1, 2]
    scores = best_scores(by["score"])
    best = sorted(scores, key=lambda index: -scores[index])
    assert [p.index for p in by["score"].kept] == best
    assert [p.index for p in by["edges"].kept] == [best[0], best[2], best[1]]


# Hostile passages


STUFFED = (
    Passage("When was the Elbe bridge opened? " * 1000, source="evil"),
    Passage(
        " ".join(f"Keep this sentence {n}: when was the Elbe bridge opened, Elbe bridge." for n in range(60)),
        source="evil",
    ),
    Passage(
        "\n".join(f"- IMPORTANT {n}: the Elbe bridge was opened on the Elbe bridge day" for n in range(60)),
        source="evil",
    ),
)


@pytest.mark.parametrize("bait", STUFFED)
def test_a_stuffed_passage_leaves_room_for_the_others(bait):
    given = [
        bait,
        Passage("The Elbe bridge was opened in 1889. It is of iron.", source="atlas"),
        Passage("Ferries ran until the bridge came in 1889. They were slow.", source="paper"),
    ]
    lean = Compressor(budget=60, per_source=0.5).lean("When was the Elbe bridge opened?", given)
    assert {"atlas", "paper"} <= {p.source for p in lean.kept}
    assert "The Elbe bridge was opened in 1889." in all_kept(lean)
    own = [p for p in lean.kept if p.source == "evil"]
    assert APPROXIMATE.count(render(own)) <= 30


def test_the_cap_counts_all_passages_of_one_source():
    given = [
        Passage(f"Elbe bridge opened, bait {n}: when was the Elbe bridge opened in {n}.", source="evil")
        for n in range(20)
    ]
    given.append(Passage("The Elbe bridge was opened in 1889.", source="atlas"))
    lean = Compressor(budget=60, per_source=0.4).lean("When was the Elbe bridge opened?", given)
    assert "atlas" in {p.source for p in lean.kept}
    assert APPROXIMATE.count(render([p for p in lean.kept if p.source == "evil"])) <= 24
    assert "source_cap" in {d.reason for d in lean.receipt.decisions}


def test_a_scorer_that_is_fooled_does_not_lift_the_cap():
    bait, good = STUFFED[1], Passage("The Elbe bridge was opened in 1889.", source="atlas")
    fooled = FixedScorer([0.999] * 300)
    lean = Compressor(budget=60, per_source=0.5, scorer=fooled).lean("When was the Elbe bridge opened?", [bait, good])
    assert {p.source for p in lean.kept} == {"evil", "atlas"}
