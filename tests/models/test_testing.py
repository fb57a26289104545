import math

import pytest

from ragthrift.testing import FixedScorer, HashEmbedder, check_embedder, check_scorer


def test_fixed_scorer_by_place_and_by_text():
    assert FixedScorer([0.9, 0.1]).score("q", ["a", "b", "c"]) == [0.9, 0.1, 0.0]
    assert FixedScorer({"b": 2.0}, default=-1.0).score("q", ["a", "b"]) == [-1.0, 2.0]


def test_hash_embedder_puts_shared_words_near():
    one, two, three = HashEmbedder().embed(["reset my password", "change my password", "soup recipe"])

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert cosine(one, two) > 0.5 > cosine(one, three)
    assert math.isclose(cosine(one, one), 1)


def test_doubles_conform():
    check_scorer(lambda: FixedScorer([1.0, 2.0]))
    check_embedder(HashEmbedder)


async def test_checks_run_inside_an_event_loop():
    check_scorer(lambda: FixedScorer([1.0]))
    check_embedder(HashEmbedder)


class Broken:
    def __init__(self, answer):
        self.answer = answer
        self.calls = 0

    def score(self, query, texts):
        self.calls += 1
        return self.answer(self.calls, texts)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda calls, texts: [0.0], "1 scores for 7 texts"),
        (lambda calls, texts: [float("nan")] * len(texts), "finite"),
        (lambda calls, texts: [float(calls)] * len(texts), "a second call differs"),
        (lambda calls, texts: [0.0] * max(1, len(texts)), "no texts must give no scores"),
        (
            lambda calls, texts: [0.0 for _ in texts if not (isinstance(texts, list) and texts.sort())],
            "changed the list",
        ),
    ],
)
def test_check_scorer_names_what_is_wrong(answer, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_scorer(lambda: Broken(answer))


class Long:
    def embed(self, texts, *, role="passage"):
        return [[3.0, 4.0] for _ in texts]


def test_check_embedder_wants_unit_vectors():
    with pytest.raises(AssertionError, match=r"has length 5\.0"):
        check_embedder(Long)
