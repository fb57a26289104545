"""Calls to models end in checked numbers or in a reason, called or awaited."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest

from ragthrift.errors import ConfigurationError, MissingExtra
from ragthrift.models.calls import Embed, Failure, FindSpans, Score, aanswer, answer
from ragthrift.testing import FixedScorer, HashEmbedder


class Gives:
    """A model of every kind that answers with what `reply` gives."""

    def __init__(self, reply):
        self.reply = reply

    def score(self, query, texts):
        return self.reply()

    def embed(self, texts, *, role="passage"):
        return self.reply()

    def relevant_spans(self, query, texts):
        return self.reply()


def error(what):
    def reply():
        raise what

    return reply


GOOD = [
    (Score(FixedScorer([0.5, 2]), "q", ("a", "b")), ((0.5,), (2.0,))),
    (Score(FixedScorer([]), "q", ()), ()),
    (Embed(Gives(lambda: [[1, 0], (0.5, 0.5)]), ("a", "b"), "query"), ((1.0, 0.0), (0.5, 0.5))),
    (FindSpans(Gives(lambda: [[(0, 3, 0.9), (5, 7, 0.1)], []]), "q", ("a", "b")), ((0, 3, 0.9, 5, 7, 0.1), ())),
]
BAD = [
    (Score(Gives(error(RuntimeError("boom"))), "q", ("a",)), "RuntimeError: boom"),
    (Score(Gives(error(StopIteration())), "q", ("a",)), "StopIteration"),
    (Score(Gives(lambda: [1.0, 2.0]), "q", ("a",)), "the model gave 2 results for 1 texts"),
    (Score(Gives(lambda: []), "q", ("a",)), "the model gave 0 results for 1 texts"),
    (Score(Gives(lambda: [1.0, math.nan]), "q", ("a", "b")), "the result of text 1 is not finite"),
    (Score(Gives(lambda: [-math.inf]), "q", ("a",)), "the result of text 0 is not finite"),
    (Score(Gives(lambda: ["high"]), "q", ("a",)), "something other than numbers"),
    (Score(Gives(lambda: [None]), "q", ("a",)), "something other than numbers"),
    (Score(Gives(lambda: None), "q", ("a",)), "TypeError"),
    (Embed(Gives(lambda: [[1.0, math.inf]]), ("a",), "passage"), "not finite"),
    (Embed(Gives(lambda: [1.0]), ("a",), "passage"), "something other than numbers"),
    (FindSpans(Gives(lambda: [None]), "q", ("a",)), "TypeError"),
    (Score(object(), "q", ("a",)), "AttributeError"),
]


@pytest.mark.parametrize("timeout_s", [None, 5.0])
@pytest.mark.parametrize(("call", "numbers"), GOOD)
async def test_numbers_come_back_as_rows(call, numbers, timeout_s):
    assert answer(call, timeout_s) == numbers
    assert await aanswer(call, timeout_s) == numbers


@pytest.mark.parametrize("timeout_s", [None, 5.0])
@pytest.mark.parametrize(("call", "reason"), BAD)
async def test_a_failure_says_why(call, reason, timeout_s):
    for reply in (answer(call, timeout_s), await aanswer(call, timeout_s)):
        assert isinstance(reply, Failure)
        assert reason in reply.reason


@pytest.mark.parametrize("what", [ConfigurationError("wrong"), MissingExtra("pip install")])
async def test_what_only_the_user_can_put_right_is_raised(what):
    call = Score(Gives(error(what)), "q", ("a",))
    for timeout_s in (None, 5.0):
        with pytest.raises(type(what)):
            answer(call, timeout_s)
        with pytest.raises(type(what)):
            await aanswer(call, timeout_s)


async def test_a_model_that_hangs_is_left_behind():
    call = Score(Gives(lambda: threading.Event().wait()), "q", ("a",))
    reply = answer(call, 0.05)
    assert isinstance(reply, Failure)
    assert reply.reason == "TimeoutError: no answer within 0.05 s"
    reply = await aanswer(call, 0.05)
    assert isinstance(reply, Failure)
    assert reply.reason.startswith("TimeoutError")


async def test_a_coroutine_method_is_awaited_and_an_interrupted_call_ends():
    class Native:
        def score(self, query, texts):
            raise AssertionError("the coroutine is preferred")

        async def ascore(self, query, texts):
            await asyncio.sleep(0 if query == "fast" else 3600)
            return [1.0] * len(texts)

    assert await aanswer(Score(Native(), "fast", ("a",)), None) == ((1.0,),)
    slow = await aanswer(Score(Native(), "slow", ("a",)), 0.05)
    assert isinstance(slow, Failure)
    task = asyncio.ensure_future(aanswer(Score(Native(), "slow", ("a",)), None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_thread_does_not_block_the_loop():
    go = threading.Event()
    model = Gives(lambda: [1.0] if go.wait(30) else [])
    task = asyncio.ensure_future(aanswer(Score(model, "q", ("a",)), None))
    await asyncio.sleep(0)
    go.set()
    assert await task == ((1.0,),)


def test_the_embedder_hears_its_role():
    roles = []

    class Hears(HashEmbedder):
        def embed(self, texts, *, role="passage"):
            roles.append(role)
            return [[1.0]] * len(texts)

    assert answer(Embed(Hears(), ("a",), "query"), None) == ((1.0,),)
    assert roles == ["query"]
