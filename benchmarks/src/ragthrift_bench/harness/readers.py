"""Readers: models that answer a question from a context. A local file, an OpenAI-compatible server, or a chat model."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from ragthrift.errors import ConfigurationError, MissingExtra, RemoteError
from ragthrift_bench.harness.objects import load_object

LOCAL = {
    "0.5b": "qwen2.5-coder-0.5b-instruct-q4_k_m",
    "1.5b": "qwen2.5-coder-1.5b-instruct-q4_k_m",
}
KEY = "RAGTHRIFT_READER_KEY"
MAX_TOKENS = 32
TIMEOUT_S = 300.0
SYSTEM = "You answer questions with the shortest possible answer, copied from the context, and nothing else."
ASK = (
    "Context:\n{context}\n\nAnswer the question with a few words copied from the context, no sentence. "
    'If the context does not contain the answer, write "unanswerable".\nQuestion: {question}\nAnswer:'
)
ASK_CLOSED = (
    'Answer the question with a few words, no sentence. If you do not know, write "unanswerable".\n'
    "Question: {question}\nAnswer:"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reader answered, the tokens it wrote and read, None where it did not say, and how long it took."""

    text: str
    tokens_out: int | None
    tokens_in: int | None
    ms: float


class Reader(Protocol):
    """Answers a prompt. `name` says which model it is."""

    name: str

    def ask(self, prompt: str) -> Reply: ...

    def close(self) -> None: ...


def prompt_for(question: str, context: str) -> str:
    """The prompt, the question last so that equal contexts share a prefix; no context asks the model's own memory."""
    return ASK.format(context=context, question=question) if context.strip() else ASK_CLOSED.format(question=question)


def open_reader(spec: str) -> Reader | None:
    """The reader that `spec` means, None for `none`. A model that is missing raises with what brings it."""
    if spec == "none":
        return None
    kind, _, rest = spec.partition(":")
    if kind == "local":
        return LocalReader.from_name(rest)
    if spec.startswith(("http://", "https://")):
        return HttpReader.from_url(spec)
    if rest and not rest.startswith("/"):
        return ChatReader.from_spec(spec)
    raise ConfigurationError(
        f"--reader {spec!r}: use local:0.5b, local:1.5b, local:/path/to/file.gguf, none, the URL of an "
        f"OpenAI-compatible server, or module:object with a LangChain chat model"
    )


class HttpReader:
    """A model behind an OpenAI-compatible server. `RAGTHRIFT_READER_KEY` is sent as its key when it is set."""

    def __init__(self, url: str, model: str, *, name: str = "", timeout_s: float = TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self.model = model
        self.name = name or model
        self.timeout_s = timeout_s

    @classmethod
    def from_url(cls, url: str) -> HttpReader:
        """A reader of the first model that the server lists."""
        listed = _call(f"{url.rstrip('/')}/models", None, 30.0)
        models = listed.get("data")
        first = cast("list[object]", models)[0] if isinstance(models, list) and models else None
        if not isinstance(first, dict):
            raise RemoteError(f"--reader {url!r}: the server lists no model at /models")
        return cls(url, str(cast("dict[str, object]", first).get("id")))

    def ask(self, prompt: str) -> Reply:
        body = {
            "model": self.model,
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
        }
        start = time.perf_counter()
        answer = _call(f"{self.url}/chat/completions", body, self.timeout_s)
        ms = (time.perf_counter() - start) * 1000
        try:
            choices = cast("list[dict[str, dict[str, object]]]", answer["choices"])
            text = str(choices[0]["message"]["content"] or "")
        except (KeyError, IndexError, TypeError) as error:
            raise RemoteError(f"{self.url}: the answer has no choices[0].message.content: {answer!r:.200}") from error
        usage = cast("Mapping[str, int]", answer.get("usage") or {})
        return Reply(text, usage.get("completion_tokens"), usage.get("prompt_tokens"), ms)

    def close(self) -> None:
        """Nothing to close: every request has its own connection."""


class LocalReader(HttpReader):
    """A GGUF file served by xllamacpp on a loopback port of this process."""

    def __init__(self, server: object, url: str, name: str) -> None:
        super().__init__(url, name)
        self._server: object | None = server  # the server lives as long as this object holds it

    @classmethod
    def from_name(cls, name: str) -> LocalReader:
        """The catalogue's model for `0.5b` or `1.5b`, or the GGUF file at a path."""
        if name.endswith(".gguf"):
            return cls.from_file(Path(name))
        if name not in LOCAL:
            raise ConfigurationError(f"--reader local:{name}: use {', '.join(LOCAL)}, or the path of a .gguf file")
        from ragthrift.models.catalogue import locate

        found = Path(locate(LOCAL[name]))
        return cls.from_file(next(found.glob("*.gguf")) if found.is_dir() else found, name=LOCAL[name])

    @classmethod
    def from_file(cls, file: Path, *, name: str = "", context: int = 8192) -> LocalReader:
        """Serve `file`; two threads, one request at a time, temperature 0."""
        if not file.is_file():
            raise ConfigurationError(f"--reader local: no file at {str(file)!r}")
        try:
            import xllamacpp  # pyright: ignore[reportMissingTypeStubs]
        except ImportError as error:
            raise MissingExtra('a local reader needs xllamacpp: pip install "ragthrift-bench[reader]"') from error
        package: Any = xllamacpp
        params: Any = package.CommonParams()
        params.model.path = str(file)
        params.n_ctx = context
        params.n_parallel = 1
        params.n_gpu_layers = 0
        params.verbosity = -1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = min(2, os.cpu_count() or 1)
        params.sampling.temp = 0.0
        params.sampling.seed = 0
        server: Any = package.Server(params)
        return cls(server, f"{server.listening_address}/v1", name or file.stem)

    def close(self) -> None:
        """Stop the server."""
        self._server = None


class ChatReader:
    """A LangChain chat model, as the user built it."""

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.name = name

    @classmethod
    def from_spec(cls, spec: str) -> ChatReader:
        """The chat model that `module:object` names; a function is called for it."""
        model = load_object(spec, "--reader")
        if not hasattr(model, "invoke"):
            raise ConfigurationError(f"--reader {spec!r}: {type(model).__name__} has no `invoke` method")
        return cls(model, str(getattr(model, "model_name", "") or getattr(model, "model", "") or spec))

    def ask(self, prompt: str) -> Reply:
        start = time.perf_counter()
        message: Any = self.model.invoke([("system", SYSTEM), ("human", prompt)])
        ms = (time.perf_counter() - start) * 1000
        usage: Mapping[str, int] = getattr(message, "usage_metadata", None) or {}
        return Reply(_content(message), usage.get("output_tokens"), usage.get("input_tokens"), ms)

    def close(self) -> None:
        """Nothing to close: the model is the user's."""


def _content(message: Any) -> str:
    content: Any = getattr(message, "content", message)
    if isinstance(content, str):
        return content
    parts = cast("Sequence[Any]", content)
    return "".join(str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in parts)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # content blocks are untyped


def _call(url: str, body: Mapping[str, object] | None, timeout_s: float) -> dict[str, object]:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            answer: object = json.loads(response.read())
    except urllib.error.HTTPError as error:
        raise RemoteError(f"{url} answered {error.code}: {error.read().decode('utf-8', 'replace')[:300]}") from error
    except (OSError, ValueError) as error:
        raise RemoteError(f"{url} gave no usable answer: {error}") from error
    if not isinstance(answer, dict):
        raise RemoteError(f"{url} answered with {type(answer).__name__}, expected an object")
    return cast("dict[str, object]", answer)
