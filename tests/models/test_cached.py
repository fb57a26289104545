import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragthrift.errors import ConfigurationError
from ragthrift.models import CachedEmbedder, CachedScorer
from ragthrift.testing import HashEmbedder, check_embedder, check_scorer


class Length:
    def __init__(self):
        self.asked = []

    def score(self, query, texts):
        self.asked.append(list(texts))
        return [float(len(text)) for text in texts]


class Upper:
    async def ascore(self, query, texts):
        return [1.0 for _ in texts]

    def score(self, query, texts):
        return [0.0 for _ in texts]


def test_conform():
    check_scorer(lambda: CachedScorer(Length()))
    check_embedder(lambda: CachedEmbedder(HashEmbedder()))


def test_only_unknown_pairs_are_scored():
    inner = Length()
    cached = CachedScorer(inner)
    assert cached.score("q", ["a", "bb", "a"]) == [1.0, 2.0, 1.0]
    assert cached.score("q", ["bb", "ccc"]) == [2.0, 3.0]
    assert cached.score("other", ["bb"]) == [2.0]
    assert inner.asked == [["a", "bb"], ["ccc"], ["bb"]]


def test_query_and_text_are_kept_apart():
    inner = Length()
    cached = CachedScorer(inner)
    cached.score("ab", ["c"])
    cached.score("a", ["bc"])
    assert inner.asked == [["c"], ["bc"]]


def test_the_oldest_is_forgotten():
    inner = Length()
    cached = CachedScorer(inner, size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        cached.score("q", [text])
    assert inner.asked == [["a"], ["b"], ["c"], ["b"]]


def test_more_texts_than_room():
    assert CachedScorer(Length(), size=1).score("q", ["a", "bb", "ccc"]) == [1.0, 2.0, 3.0]


async def test_a_native_coroutine_is_awaited():
    cached = CachedScorer(Upper())
    assert await cached.ascore("q", ["a"]) == [1.0]
    assert cached.score("q", ["a"]) == [1.0]


def test_roles_are_kept_apart():
    class Marked(HashEmbedder):
        def embed(self, texts, *, role="passage"):
            return [[1.0, 0.0] if role == "query" else [0.0, 1.0] for _ in texts]

    cached = CachedEmbedder(Marked())
    assert cached.embed(["a"], role="query") != cached.embed(["a"], role="passage")


def test_threads_share_it():
    cached = CachedScorer(Length(), size=50)
    texts = [[str(n % 97) * (n % 13) for n in range(start, start + 40)] for start in range(60)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda batch: cached.score("q", batch), texts))
    assert answers == [[float(len(text)) for text in batch] for batch in texts]


def test_copies_start_empty():
    cached = CachedEmbedder(HashEmbedder(8))
    vectors = cached.embed(["a"])
    assert copy.deepcopy(cached).embed(["a"]) == vectors
    assert pickle.loads(pickle.dumps(cached)).embed(["a"]) == vectors


def test_wrong_size():
    with pytest.raises(ConfigurationError, match="size must be 1 or more, got 0"):
        CachedScorer(Length(), size=0)
