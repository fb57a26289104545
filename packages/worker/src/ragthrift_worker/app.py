"""The server as an ASGI application over any scorer and embedder of ragthrift."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import math
import struct
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ragthrift.errors import ThriftError
from ragthrift.models import Embedder, Scorer, aembed, ascore

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 32 << 20
MAX_TEXTS = 10_000

_Body = Mapping[str, Any]
_Work = Callable[[_Body], Awaitable[object]]


class _RefusedError(Exception):
    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def app(scorer: Scorer, embedder: Embedder | None = None, *, name: str = "ragthrift") -> Starlette:
    """An ASGI application that reranks with `scorer`, whose scores are logits, and embeds with `embedder`.

    `name` is what the server says its model is called; requests may name any. Models open when the server starts, and
    it is ready once they have answered. Token counts in answers are estimates: four bytes a token.
    """
    served = _Served(scorer, embedder, name)
    return Starlette(
        routes=[
            Route("/v2/rerank", _route(served.cohere, lambda text, status: {"message": text}), methods=["POST"]),
            Route("/v1/rerank", _route(served.jina, lambda text, status: {"detail": text}), methods=["POST"]),
            Route("/rerank", _route(served.tei, _tei_error), methods=["POST"]),
            Route("/v1/embeddings", _route(served.openai, _openai_error), methods=["POST"]),
            Route("/v1/models", served.models),
            Route("/health/live", served.live),
            Route("/health/ready", served.ready),
        ],
        lifespan=served.lifespan,
    )


@dataclass
class _Served:
    scorer: Scorer
    embedder: Embedder | None
    name: str
    warm: bool = False

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncGenerator[None]:
        await ascore(self.scorer, "ready?", ["ready"])
        if self.embedder is not None:
            await aembed(self.embedder, ["ready"])
        self.warm = True
        yield

    async def cohere(self, body: _Body) -> object:
        _, ranked = await self._ranked(body, "documents")
        results = [{"index": at, "relevance_score": _logistic(score)} for at, score in ranked]
        return {"id": str(uuid.uuid4()), "results": results, "meta": {"api_version": {"version": "2"}}}

    async def jina(self, body: _Body) -> object:
        texts, ranked = await self._ranked(body, "documents")
        results: list[dict[str, object]] = [{"index": at, "relevance_score": _logistic(score)} for at, score in ranked]
        if body.get("return_documents"):
            results = [row | {"document": {"text": texts[at]}} for row, (at, _) in zip(results, ranked, strict=True)]
        tokens = _tokens([str(body["query"]) * len(texts), *texts])
        return {"model": self.name, "results": results, "usage": {"total_tokens": tokens}}

    async def tei(self, body: _Body) -> object:
        texts, ranked = await self._ranked(body, "texts", status=422)
        final: Callable[[float], float] = float if body.get("raw_scores") else _logistic
        rows: list[dict[str, object]] = [{"index": at, "score": final(score)} for at, score in ranked]
        if body.get("return_text"):
            rows = [row | {"text": texts[at]} for row, (at, _) in zip(rows, ranked, strict=True)]
        return rows

    async def openai(self, body: _Body) -> object:
        if self.embedder is None:
            raise _RefusedError("this server has no embedding model", 404)
        given = body.get("input")
        texts = _texts([given] if isinstance(given, str) else given, "input", 400)
        style = body.get("encoding_format") or "float"
        if style not in ("float", "base64"):
            raise _RefusedError(f"encoding_format must be 'float' or 'base64', got {style!r}")
        asking = body.get("input_type") in ("query", "search_query")
        vectors = await aembed(self.embedder, texts, role="query" if asking else "passage")
        if vectors and body.get("dimensions") not in (None, len(vectors[0])):
            raise _RefusedError(f"dimensions must be {len(vectors[0])} for this model, got {body['dimensions']!r}")
        data = [
            {"object": "embedding", "index": at, "embedding": _packed(vector) if style == "base64" else list(vector)}
            for at, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": _tokens(texts), "total_tokens": _tokens(texts)}
        return {"object": "list", "model": self.name, "data": data, "usage": usage}

    async def models(self, request: Request) -> Response:
        entry = {"id": self.name, "object": "model", "created": 0, "owned_by": "ragthrift"}
        return JSONResponse({"object": "list", "data": [entry]})

    async def live(self, request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(self, request: Request) -> Response:
        return JSONResponse({"status": "ready" if self.warm else "opening"}, 200 if self.warm else 503)

    async def _ranked(self, body: _Body, field: str, status: int = 400) -> tuple[list[str], list[tuple[int, float]]]:
        """The texts of the request, and `(index, logit)` of the best `top_n` of them, best first."""
        query, top_n = body.get("query"), body.get("top_n")
        if not isinstance(query, str):
            raise _RefusedError(f"query must be a string, got {query!r}", status)
        if top_n is not None and (type(top_n) is not int or top_n < 1):
            raise _RefusedError(f"top_n must be a whole number above 0, got {top_n!r}", status)
        texts = _texts(body.get(field), field, status)
        scores = await ascore(self.scorer, query, texts)
        ranked = sorted(enumerate(scores), key=lambda item: -item[1])
        return texts, [(at, float(score)) for at, score in ranked[:top_n]]


def _route(work: _Work, shape: Callable[[str, int], object]) -> Callable[[Request], Awaitable[Response]]:
    """A handler that answers with what `work` returns, and with errors in the `shape` of its dialect."""

    async def handle(request: Request) -> Response:
        try:
            return JSONResponse(await work(await _body(request)))
        except _RefusedError as error:
            return JSONResponse(shape(str(error), error.status), error.status)
        except ThriftError as error:
            log.warning("%s failed: %s", request.url.path, error)
            return JSONResponse(shape(str(error), 503), 503)
        except Exception:
            log.exception("%s failed", request.url.path)
            return JSONResponse(shape("the model failed on this request", 500), 500)

    return handle


async def _body(request: Request) -> _Body:
    data = bytearray()
    async for block in request.stream():
        data += block
        if len(data) > MAX_BODY_BYTES:
            raise _RefusedError(f"the request is larger than {MAX_BODY_BYTES} bytes", 413)
    try:
        body: object = json.loads(data)
    except ValueError as error:
        raise _RefusedError(f"the request is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise _RefusedError("the request must be a JSON object")
    return cast("_Body", body)


def _texts(given: object, field: str, status: int) -> list[str]:
    if not isinstance(given, list) or not given:
        raise _RefusedError(f"{field} must be a list with at least one text", status)
    items = cast("list[object]", given)
    if len(items) > MAX_TEXTS:
        raise _RefusedError(f"{field} has {len(items)} texts, the limit is {MAX_TEXTS}", 413)
    texts: list[str] = []
    for at, item in enumerate(items):
        text = cast("_Body", item).get("text") if isinstance(item, dict) else item
        if not isinstance(text, str):
            raise _RefusedError(f"{field}[{at}] must be a text, got {type(text).__name__}", status)
        texts.append(text)
    return texts


def _tei_error(text: str, status: int) -> object:
    return {"error": text, "error_type": "validation" if status < 500 else "backend"}


def _openai_error(text: str, status: int) -> object:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": text, "type": kind, "param": None, "code": None}}


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _tokens(texts: Sequence[str]) -> int:
    return sum(-(-len(text.encode("utf-8", "replace")) // 4) for text in texts)


def _logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(max(z, -700.0)) / (1 + math.exp(max(z, -700.0)))
