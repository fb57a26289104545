"""Scorers behind an HTTP endpoint: Cohere, Voyage, Jina, and whatever speaks the format of Text Embeddings Inference.

Each call opens a connection of its own unless it is given a `client` (or `async_client`) to reuse, which the caller
closes. A request is tried again, a bounded number of times, when the server is overloaded or out of reach; then, and
whenever an answer cannot be trusted (an index out of range, twice or missing, a score that is no finite number), a
`RemoteError` says so. Documents beyond the provider's own limit are cut before they are sent. A key from the
environment goes to its provider's own host only; for any other `url` give `api_key`.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlsplit

from ragthrift.errors import ConfigurationError, MissingExtra, RemoteError
from ragthrift.plan import arun, run

if TYPE_CHECKING:
    import httpx2

RETRIED = frozenset({0, 408, 429, 500, 502, 503, 504})
"""Statuses that may pass by themselves; 0 stands for a connection that failed."""
MAX_WAIT_S = 20.0
"""A server that asks for a longer pause is not waited for."""
MAX_ANSWER_BYTES = 64 << 20
MAX_QUERY_CHARS = 32_768
CHARS_PER_TOKEN = 16
"""Far more than any tokenizer packs into an average token: what is cut here the provider would have cut anyway."""

BLANK = "."
"""Sent for a text or query without a visible character: one such text makes some providers refuse the whole request."""

Span = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class _Post:
    url: str
    headers: Mapping[str, str]
    body: bytes
    timeout_s: float


@dataclass(frozen=True, slots=True)
class _Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


_Ask = _Post | _Wait
_Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remote:
    """What the four dialects share; they differ in path, key, limits, body and where the rows are."""

    url: str
    model: str = ""
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 30.0
    retries: int = 2
    client: httpx2.Client | None = field(default=None, repr=False, compare=False)
    async_client: httpx2.AsyncClient | None = field(default=None, repr=False, compare=False)

    _PATH: ClassVar[str]
    _HOST: ClassVar[str] = ""
    _KEYS: ClassVar[tuple[str, ...]]
    _ROWS: ClassVar[str | None] = "results"
    _SCORE: ClassVar[str] = "relevance_score"
    _MAX_DOCUMENTS: ClassVar[int]
    _MAX_CHARS: ClassVar[int]
    _MAX_BYTES: ClassVar[int]

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ConfigurationError(f"url must start with http:// or https://, got {self.url!r}")
        if not self.timeout_s > 0:
            raise ConfigurationError(f"timeout_s must be above 0, got {self.timeout_s!r}")
        if self.retries < 0:
            raise ConfigurationError(f"retries must be 0 or more, got {self.retries!r}")

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """The provider's score of each text."""
        if not texts:
            return []
        with _sync(self.client) as client:
            return run(self._scores(query, texts), lambda ask: _answer(client, ask))

    async def ascore(self, query: str, texts: Sequence[str]) -> list[float]:
        """The provider's score of each text."""
        if not texts:
            return []
        async with _async(self.async_client) as client:
            return await arun(self._scores(query, texts), lambda ask: _aanswer(client, ask))

    def _scores(self, query: str, texts: Sequence[str]) -> Generator[_Ask, _Reply, list[float]]:
        rows = yield from self._rows(query, texts, {})
        return [cast("float", row[self._SCORE]) for row in rows]

    def _rows(self, query: str, texts: Sequence[str], more: _Row) -> Generator[_Ask, _Reply, list[_Row]]:
        """The checked result row of each text, in the order of the texts."""
        rows: list[_Row] = []
        asked = _clean(query, MAX_QUERY_CHARS)
        for batch in self._batches([_clean(text, self._MAX_CHARS) for text in texts]):
            payload = yield from self._call(self._body(asked, batch) | more)
            rows += self._checked(payload, len(batch))
        return rows

    def _batches(self, texts: list[str]) -> list[list[str]]:
        batches: list[list[str]] = [[]]
        room = self._MAX_BYTES
        for text in texts:
            size = len(text.encode())
            if batches[-1] and (len(batches[-1]) == self._MAX_DOCUMENTS or size > room):
                batches.append([])
                room = self._MAX_BYTES
            batches[-1].append(text)
            room -= size
        return batches

    def _body(self, query: str, texts: list[str]) -> _Row:
        return {"model": self.model, "query": query, "documents": texts}

    def _call(self, body: _Row) -> Generator[_Ask, _Reply, Any]:
        url = self.url.rstrip("/") + self._PATH
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        post = _Post(url, self._headers(), data, self.timeout_s)
        for attempt in range(self.retries + 1):
            reply = yield post
            if 200 <= reply.status < 300:
                return self._json(reply.body)
            pause = _pause(reply, attempt)
            if reply.status not in RETRIED or attempt == self.retries or pause > MAX_WAIT_S:
                raise RemoteError(f"{self._who()} {_trouble(reply, attempt + 1, pause)}")
            yield _Wait(pause)
        raise AssertionError("the last attempt returns or raises")

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept": "application/json"}
        key = self.api_key
        if key is None and urlsplit(self.url).hostname == self._HOST:  # the provider's key is for nobody else
            key = next((value for name in self._KEYS if (value := os.environ.get(name))), None)
            if key is None:
                raise ConfigurationError(
                    f"{type(self).__name__} needs api_key or the environment variable {self._KEYS[0]}"
                )
        if key is not None:
            if not (key.isascii() and key.isprintable()):
                raise ConfigurationError(f"the api key of {type(self).__name__} has characters no header may carry")
            headers["authorization"] = f"Bearer {key}"
        return headers

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise RemoteError(f"{self._who()} did not answer with JSON but with {body[:80]!r}") from error

    def _checked(self, payload: Any, count: int) -> list[_Row]:
        rows: object = payload
        if self._ROWS is not None:
            rows = cast("_Row", payload).get(self._ROWS) if isinstance(payload, dict) else None
        if not isinstance(rows, list):
            raise RemoteError(f"{self._who()} answered without a list of results: {json.dumps(payload)[:200]}")
        placed: dict[int, _Row] = {}
        for item in cast("list[object]", rows):
            row = cast("_Row", item) if isinstance(item, dict) else {}
            place, score = row.get("index"), row.get(self._SCORE)
            if type(place) is not int or not 0 <= place < count:
                raise RemoteError(f"{self._who()} answered with the index {place!r}, but {count} texts were sent")
            if place in placed:
                raise RemoteError(f"{self._who()} answered twice for the index {place}")
            if not _finite(score):
                raise RemoteError(f"{self._who()} scored the index {place} as {score!r}, which is no finite number")
            placed[place] = row | {self._SCORE: float(cast("float", score))}
        missing = [place for place in range(count) if place not in placed]
        if missing:
            raise RemoteError(f"{self._who()} left out the index {missing[0]} ({len(missing)} of {count} are missing)")
        return [placed[place] for place in range(count)]

    def _who(self) -> str:
        return f"{type(self).__name__} at {urlsplit(self.url).hostname}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CohereScorer(_Remote):
    """Cohere's `/v2/rerank`, or a server that speaks it; scores are probabilities.

    `relevant_spans` needs Rerank 5 or a server that has it; only spans above `span_threshold` come back, at most
    `max_spans` a text. The key comes from `api_key` or, for Cohere itself, from `CO_API_KEY` or `COHERE_API_KEY`.
    """

    url: str = "https://api.cohere.com"
    model: str = "rerank-v5.0-fast"
    max_tokens_per_doc: int = 4096
    span_threshold: float = 0.1
    max_spans: int | None = None

    _PATH: ClassVar[str] = "/v2/rerank"
    _HOST: ClassVar[str] = "api.cohere.com"
    _KEYS: ClassVar[tuple[str, ...]] = ("CO_API_KEY", "COHERE_API_KEY")
    _MAX_DOCUMENTS: ClassVar[int] = 1000
    _MAX_CHARS: ClassVar[int] = 32_768 * CHARS_PER_TOKEN
    _MAX_BYTES: ClassVar[int] = 8 << 20

    def relevant_spans(self, query: str, texts: Sequence[str]) -> list[list[Span]]:
        """The relevant `(start, end, score)` ranges of each text, in code points, the most relevant first."""
        if not texts:
            return []
        with _sync(self.client) as client:
            return run(self._spans(query, texts), lambda ask: _answer(client, ask))

    async def arelevant_spans(self, query: str, texts: Sequence[str]) -> list[list[Span]]:
        """The relevant `(start, end, score)` ranges of each text, in code points, the most relevant first."""
        if not texts:
            return []
        async with _async(self.async_client) as client:
            return await arun(self._spans(query, texts), lambda ask: _aanswer(client, ask))

    def _body(self, query: str, texts: list[str]) -> _Row:
        cut = [text[: self.max_tokens_per_doc * CHARS_PER_TOKEN] for text in texts]
        return {
            "model": self.model,
            "query": query,
            "documents": cut,
            "max_tokens_per_doc": self.max_tokens_per_doc,
        }

    def _spans(self, query: str, texts: Sequence[str]) -> Generator[_Ask, _Reply, list[list[Span]]]:
        wish: _Row = {"mode": "enabled", "threshold": self.span_threshold}
        if self.max_spans is not None:
            wish["max_spans"] = self.max_spans
        rows = yield from self._rows(query, texts, {"relevant_spans": wish})
        return [
            [self._span(at, text, span) for span in row.get("relevant_spans") or () if text.strip()]
            for at, (text, row) in enumerate(zip(texts, rows, strict=True))
        ]

    def _span(self, at: int, text: str, span: Any) -> Span:
        found = cast("_Row", span) if isinstance(span, dict) else {}
        start, end, score = found.get("start"), found.get("end"), found.get("score")
        if type(start) is int and type(end) is int and 0 <= start < end <= len(text) and _finite(score):
            return start, end, float(cast("float", score))
        raise RemoteError(f"{self._who()} gave the span {span!r} for the index {at}, a text of {len(text)} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class VoyageScorer(_Remote):
    """Voyage's `/v1/rerank`; scores lie between 0 and 1. The key comes from `api_key` or `VOYAGE_API_KEY`."""

    url: str = "https://api.voyageai.com"
    model: str = "rerank-2.5-lite"

    _PATH: ClassVar[str] = "/v1/rerank"
    _HOST: ClassVar[str] = "api.voyageai.com"
    _KEYS: ClassVar[tuple[str, ...]] = ("VOYAGE_API_KEY",)
    _ROWS: ClassVar[str | None] = "data"
    _MAX_DOCUMENTS: ClassVar[int] = 1000
    _MAX_CHARS: ClassVar[int] = 32_000 * CHARS_PER_TOKEN
    _MAX_BYTES: ClassVar[int] = 900_000  # Voyage also limits the tokens of a whole request, to some hundred thousand

    def _body(self, query: str, texts: list[str]) -> _Row:
        return {"model": self.model, "query": query, "documents": texts, "truncation": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class JinaScorer(_Remote):
    """Jina's `/v1/rerank`, or a server that speaks it.

    The key comes from `api_key` or, for Jina itself, from `JINA_API_KEY`.
    Scores of a listwise model (jina-reranker-v3) depend on the other texts of the request.
    """

    url: str = "https://api.jina.ai"
    model: str = "jina-reranker-v2-base-multilingual"

    _PATH: ClassVar[str] = "/v1/rerank"
    _HOST: ClassVar[str] = "api.jina.ai"
    _KEYS: ClassVar[tuple[str, ...]] = ("JINA_API_KEY", "JINAAI_API_KEY")
    _MAX_DOCUMENTS: ClassVar[int] = 1000
    _MAX_CHARS: ClassVar[int] = 8192 * CHARS_PER_TOKEN
    _MAX_BYTES: ClassVar[int] = 8 << 20

    def _body(self, query: str, texts: list[str]) -> _Row:
        return {"model": self.model, "query": query, "documents": texts, "return_documents": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class TeiScorer(_Remote):
    """`/rerank` of Text Embeddings Inference or of a server that speaks it; a key, if any, comes from `api_key` only.

    Scores are probabilities, or logits where `raw_scores` is set. The server takes 32 texts a request unless it was
    started with another limit; `batch` must not be above that.
    """

    url: str = "http://127.0.0.1:8080"
    raw_scores: bool = False
    batch: int = 32

    _PATH: ClassVar[str] = "/rerank"
    _KEYS: ClassVar[tuple[str, ...]] = ()
    _ROWS: ClassVar[str | None] = None
    _SCORE: ClassVar[str] = "score"
    _MAX_DOCUMENTS: ClassVar[int] = 1000
    _MAX_CHARS: ClassVar[int] = 8192 * CHARS_PER_TOKEN
    _MAX_BYTES: ClassVar[int] = 1_500_000  # the server refuses bodies above 2 MB

    def _batches(self, texts: list[str]) -> list[list[str]]:
        if self.batch < 1:
            raise ConfigurationError(f"batch must be 1 or more, got {self.batch!r}")
        pieces = (texts[at : at + self.batch] for at in range(0, len(texts), self.batch))
        return [batch for piece in pieces for batch in _Remote._batches(self, piece)]

    def _body(self, query: str, texts: list[str]) -> _Row:
        return {"query": query, "texts": texts, "raw_scores": self.raw_scores, "truncate": True}


@contextmanager
def _sync(given: httpx2.Client | None) -> Generator[httpx2.Client]:
    if given is not None:
        yield given
        return
    with _library().Client() as client:
        yield client


@asynccontextmanager
async def _async(given: httpx2.AsyncClient | None) -> AsyncGenerator[httpx2.AsyncClient]:
    if given is not None:
        yield given
        return
    async with _library().AsyncClient() as client:
        yield client


def _answer(client: httpx2.Client, ask: _Ask) -> _Reply:
    if isinstance(ask, _Wait):
        time.sleep(ask.seconds)
        return _Reply(0, {}, b"")
    deadline = time.monotonic() + ask.timeout_s
    try:
        with client.stream("POST", ask.url, content=ask.body, headers=ask.headers, timeout=ask.timeout_s) as response:
            body = bytearray()
            for block in response.iter_bytes():
                body += block
                if time.monotonic() > deadline:  # the client's own timeout starts anew with each block
                    raise TimeoutError
                if len(body) > MAX_ANSWER_BYTES:
                    raise RemoteError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
            return _Reply(response.status_code, dict(response.headers), bytes(body))
    except (TimeoutError, _library().TimeoutException):
        return _Reply(0, {}, f"did not answer within {ask.timeout_s:g} s".encode())
    except _library().TransportError as error:
        return _Reply(0, {}, f"cannot be reached: {error or type(error).__name__}".encode())


async def _aanswer(client: httpx2.AsyncClient, ask: _Ask) -> _Reply:
    if isinstance(ask, _Wait):
        await asyncio.sleep(ask.seconds)
        return _Reply(0, {}, b"")
    try:
        async with (
            asyncio.timeout(ask.timeout_s),
            client.stream("POST", ask.url, content=ask.body, headers=ask.headers, timeout=ask.timeout_s) as response,
        ):
            body = bytearray()
            async for block in response.aiter_bytes():
                body += block
                if len(body) > MAX_ANSWER_BYTES:
                    raise RemoteError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
            return _Reply(response.status_code, dict(response.headers), bytes(body))
    except (TimeoutError, _library().TimeoutException):
        return _Reply(0, {}, f"did not answer within {ask.timeout_s:g} s".encode())
    except _library().TransportError as error:
        return _Reply(0, {}, f"cannot be reached: {error or type(error).__name__}".encode())


def _library() -> Any:
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtra('remote scorers need httpx2: pip install "ragthrift[http]"') from error
    return httpx2


def _pause(reply: _Reply, attempt: int) -> float:
    """How long to wait before the next try: what the server asks for, else a growing random time."""
    asked = _asked(reply.headers)
    # The spread keeps clients that were refused together from coming back together.
    return asked if asked is not None else random.uniform(0.5, 1.0) * min(0.5 * 2**attempt, MAX_WAIT_S)


def _asked(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _trouble(reply: _Reply, attempts: int, pause: float) -> str:
    said = reply.body[:300].decode("utf-8", "replace").strip()
    tried = f" ({attempts} attempts)" if attempts > 1 else ""
    if not reply.status:
        return said + tried
    later = f"; it asks to wait {pause:.0f} s" if pause > MAX_WAIT_S else ""
    return f"answered {reply.status}{later}: {said}{tried}"


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _clean(text: str, limit: int) -> str:
    text = text[:limit].encode("utf-8", "replace").decode("utf-8")  # a lone surrogate has no UTF-8 form
    return text if text.strip() else BLANK
