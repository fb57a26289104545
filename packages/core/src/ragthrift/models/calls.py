"""Calls to models that never break a request: each ends in checked numbers or in a `Failure` that says why.

Engines yield a `Score` or an `Embed` from their plans; `answer` and `aanswer` make the call, within a time limit.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ragthrift.errors import SetupError
from ragthrift.models.base import Embedder, Role, Scorer, SpanScorer, aembed, ascore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Score:
    """A request for the scores of `texts`."""

    scorer: Scorer
    query: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Embed:
    """A request for the vectors of `texts`."""

    embedder: Embedder
    texts: tuple[str, ...]
    role: Role


@dataclass(frozen=True, slots=True)
class FindSpans:
    """A request for the relevant spans of `texts`."""

    scorer: SpanScorer
    query: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call gave nothing that can be used."""

    reason: str


Call = Score | Embed | FindSpans
Numbers = tuple[tuple[float, ...], ...]
"""One row a text: its score alone, its vector, or start, end and score of each span, one after another."""


def answer(call: Call, timeout_s: float | None) -> Numbers | Failure:
    """The numbers that the model gave, or why there are none. A model that hangs is left behind in its thread."""
    try:
        reply = _within(lambda: _ask(call), timeout_s)
    except SetupError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a user's model raises, the request goes on
        return _failure(error, timeout_s)
    return _checked(call, reply)


async def aanswer(call: Call, timeout_s: float | None) -> Numbers | Failure:
    """`answer`, without blocking the event loop."""
    try:
        async with asyncio.timeout(timeout_s):
            reply = await _aask(call)
    except SetupError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a user's model raises, the request goes on
        return _failure(error, timeout_s)
    return _checked(call, reply)


def _failure(error: Exception, timeout_s: float | None) -> Failure:
    if isinstance(error, TimeoutError):
        return Failure(f"TimeoutError: no answer within {timeout_s} s")
    return Failure(f"{type(error).__name__}: {error}")


def _ask(call: Call) -> Sequence[Sequence[float]]:
    match call:
        case Score():
            return [(score,) for score in call.scorer.score(call.query, call.texts)]
        case Embed():
            return call.embedder.embed(call.texts, role=call.role)
        case FindSpans():
            return [_flat(spans) for spans in call.scorer.relevant_spans(call.query, call.texts)]


async def _aask(call: Call) -> Sequence[Sequence[float]]:
    match call:
        case Score() if hasattr(call.scorer, "ascore"):
            return [(score,) for score in await ascore(call.scorer, call.query, call.texts)]
        case Embed() if hasattr(call.embedder, "aembed"):
            return await aembed(call.embedder, call.texts, role=call.role)
        case _:
            return await _in_daemon(lambda: _ask(call))


def _flat(spans: Sequence[tuple[int, int, float]]) -> tuple[float, ...]:
    return tuple(number for span in spans for number in span)


def _checked(call: Call, reply: Sequence[Sequence[float]]) -> Numbers | Failure:
    try:
        if any(isinstance(number, str) for row in reply for number in row[:1]):
            raise TypeError("text where a number was expected")
        numbers = tuple(tuple(map(float, row)) for row in reply)
    except (TypeError, ValueError) as error:
        return Failure(f"the model answered with something other than numbers: {error}")
    if len(numbers) != len(call.texts):
        return Failure(f"the model gave {len(numbers)} results for {len(call.texts)} texts")
    for index, row in enumerate(numbers):
        if not all(map(math.isfinite, row)):
            return Failure(f"the result of text {index} is not finite")
        if isinstance(call, Embed) and (not row or len(row) != len(numbers[0])):
            return Failure(f"the vector of text {index} has {len(row)} dimensions, that of text 0 {len(numbers[0])}")
        if isinstance(call, FindSpans) and len(row) % 3:
            return Failure(f"the spans of text {index} are not triples of start, end and score")
    return numbers


def _within(work: Callable[[], T], timeout_s: float | None) -> T:
    """The result of `work`, given up after `timeout_s`. A daemon thread, so that a hung model cannot block exit."""
    if timeout_s is None:
        return work()
    box: queue.SimpleQueue[tuple[bool, T | BaseException]] = queue.SimpleQueue()
    _start(work, box.put)
    try:
        good, value = box.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError from None
    return _unpack(good, value)


async def _in_daemon(work: Callable[[], T]) -> T:
    """The result of `work` from a daemon thread: asyncio's own threads would be waited for at exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[bool, T | BaseException]] = loop.create_future()

    def put(outcome: tuple[bool, T | BaseException]) -> None:
        def settle() -> None:
            if not done.done():
                done.set_result(outcome)

        if not loop.is_closed():
            loop.call_soon_threadsafe(settle)

    _start(work, put)
    return _unpack(*await done)


def _start(work: Callable[[], T], put: Callable[[tuple[bool, T | BaseException]], None]) -> None:
    """Run `work` in a thread that sees the caller's context variables, such as the current trace."""
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(_put, work, put), daemon=True, name="ragthrift-model").start()


def _put(work: Callable[[], T], put: Callable[[tuple[bool, T | BaseException]], None]) -> None:
    try:
        put((True, work()))
    except BaseException as error:  # noqa: BLE001  # raised again by the caller
        put((False, error))


def _unpack(good: bool, value: T | BaseException) -> T:
    if isinstance(value, BaseException) and not good:
        raise value
    return value  # type: ignore[return-value]  # a good value is never an exception
