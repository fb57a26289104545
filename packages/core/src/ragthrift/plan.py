"""Plans: logic that interleaves decisions with calls to others, written once as a generator, driven sync or async.

A plan yields requests and receives replies; `run` and `arun` differ only in who answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

Ask = TypeVar("Ask")
Reply = TypeVar("Reply")
Result = TypeVar("Result")


def run(plan: Generator[Ask, Reply, Result], answer: Callable[[Ask], Reply]) -> Result:
    """The result of `plan`, each of its requests answered by `answer`."""
    try:
        request = next(plan)
        while True:
            request = plan.send(answer(request))
    except StopIteration as done:
        result: Result = done.value
        return result


async def arun(plan: Generator[Ask, Reply, Result], answer: Callable[[Ask], Awaitable[Reply]]) -> Result:
    """The result of `plan`, each of its requests answered by awaiting `answer`."""
    try:
        request = next(plan)
        while True:
            request = plan.send(await answer(request))
    except StopIteration as done:
        result: Result = done.value
        return result
