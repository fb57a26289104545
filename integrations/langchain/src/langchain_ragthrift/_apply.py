"""One way from documents to lean documents, for all adapters: convert, run the engine, convert back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from langchain_ragthrift._chain import name, one
from langchain_ragthrift.convert import Convert, checked, copied
from ragthrift.errors import ConfigurationError, SetupError
from ragthrift.events import emit

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from ragthrift.types import Engine

log = logging.getLogger(__name__)


def lean(
    engine: Engine | Sequence[Engine], query: str, documents: Iterable[Document], convert: Convert
) -> list[Document]:
    """Copies of the documents that the engine keeps; of all of them if the engine breaks."""
    given, asked, runner = checked(documents), question(query), one(engine)
    passages = convert.passages(given)
    try:
        return convert.documents(runner.lean(asked, passages), given, name(runner))
    except SetupError:
        raise
    except Exception as error:  # noqa: BLE001  # a user's own engine must not break the request either
        return _unchanged(given, error)


async def alean(
    engine: Engine | Sequence[Engine], query: str, documents: Iterable[Document], convert: Convert
) -> list[Document]:
    """`lean`, awaiting the engine."""
    given, asked, runner = checked(documents), question(query), one(engine)
    passages = convert.passages(given)
    try:
        return convert.documents(await runner.alean(asked, passages), given, name(runner))
    except SetupError:
        raise
    except Exception as error:  # noqa: BLE001  # a user's own engine must not break the request either
        return _unchanged(given, error)


def question(query: str) -> str:
    """The query, which must be text."""
    if not isinstance(cast("object", query), str):
        raise ConfigurationError(f"query must be text, got {query!r:.200}: give the question that the documents answer")
    return query


def _unchanged(documents: Sequence[Document], error: Exception) -> list[Document]:
    reason = f"{type(error).__name__}: {error}"
    log.warning("documents pass through unchanged: %s", reason)
    emit("langchain.fallback", reason=reason)
    return [copied(document) for document in documents]
