"""Token counters. Budgets count rendered text with one of these; none of them touches the network.

`Approximate` needs nothing. `Tiktoken` and `Tokenizers` are exact and need an extra and a local file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ragthrift.errors import ConfigurationError, MissingExtra, MissingModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import tiktoken
    import tokenizers

    from ragthrift.types import Passage

CHUNK = 100_000
"""Longer texts are counted in pieces of this many characters: byte-pair encoders slow down on one endless word."""


@runtime_checkable
class TokenCounter(Protocol):
    """Counts the tokens of a text."""

    def count(self, text: str) -> int:
        """The number of tokens of `text`."""
        ...


def label(passage: Passage) -> str:
    """What the prompt writes in front of the passage's text."""
    if passage.label is not None:
        return passage.label
    return f"{passage.title}\n" if passage.title else ""


def render(passages: Sequence[Passage], joiner: str = "\n\n") -> str:
    """The context as the prompt will hold it: this string, and nothing less, is what a budget counts."""
    return joiner.join(label(passage) + passage.text + passage.tail for passage in passages)


@dataclass(frozen=True, slots=True)
class Approximate:
    """One token per `bytes_per_token` UTF-8 bytes, rounded up.

    Four bytes a token is what English prose costs in the common encodings; a CJK character (3 bytes) or an emoji (4)
    then counts as about one token, which is close to what the encodings charge.
    """

    bytes_per_token: float = 4.0

    def __post_init__(self) -> None:
        if not self.bytes_per_token > 0:
            raise ConfigurationError(f"bytes_per_token must be above 0, got {self.bytes_per_token!r}")

    def count(self, text: str) -> int:
        """The number of tokens of `text`."""
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return int(-(-size // self.bytes_per_token))


APPROXIMATE = Approximate()
"""The default counter of every engine."""


@dataclass(frozen=True, slots=True)
class Tiktoken:
    """Counts with one of OpenAI's encodings, `o200k_base` or `cl100k_base`.

    The rank file comes from `folder`, `TIKTOKEN_CACHE_DIR`, or an installed package that carries the identical file;
    it is checked by hash and never downloaded.
    """

    encoding: str = "o200k_base"
    folder: str | None = None

    def count(self, text: str) -> int:
        """The number of tokens of `text`."""
        encoder = _tiktoken(self.encoding, self.folder)
        text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be encoded
        return sum(len(encoder.encode_ordinary(text[at : at + CHUNK])) for at in range(0, len(text), CHUNK))


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """Counts with a `tokenizer.json` of the tokenizers library, special tokens left out."""

    file: str

    def count(self, text: str) -> int:
        """The number of tokens of `text`."""
        encoder = _tokenizers(self.file)
        text = text.encode("utf-8", "replace").decode("utf-8")
        pieces = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
        return sum(len(e.ids) for e in encoder.encode_batch(pieces, add_special_tokens=False))


def counter(name: str) -> TokenCounter:
    """The counter called `name`: `approximate`, an encoding such as `o200k_base`, or the path of a `tokenizer.json`."""
    if name == "approximate":
        return Approximate()
    if name in _ENCODINGS:
        return Tiktoken(name)
    if name.endswith(".json"):
        return Tokenizers(name)
    raise ConfigurationError(
        f"unknown token counter {name!r}: use 'approximate', one of {sorted(_ENCODINGS)}, or a path to a tokenizer.json"
    )


# Encoding -> (file name in a tiktoken cache: the SHA-1 of its public address, SHA-256 that tiktoken itself pins,
# pattern and special tokens are tiktoken's own).
_ENCODINGS = {
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}
_CARRIERS = (
    ("llama_index", "core/_static/tiktoken_cache"),
    ("litellm", "litellm_core_utils/tokenizers"),
)


@lru_cache(maxsize=8)
def _tiktoken(encoding: str, folder: str | None) -> tiktoken.Encoding:
    try:
        import tiktoken
    except ImportError as error:
        raise MissingExtra('the tiktoken counter needs tiktoken: pip install "ragthrift[tiktoken]"') from error
    if encoding not in _ENCODINGS:
        raise ConfigurationError(f"unknown encoding {encoding!r}: use one of {sorted(_ENCODINGS)}")
    file = _rank_file(encoding, folder)
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(file.parent)
    try:
        return tiktoken.get_encoding(encoding)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _rank_file(encoding: str, folder: str | None) -> Path:
    """The local rank file of `encoding`, its hash checked: tiktoken would delete a wrong one and go online."""
    name, sha256 = _ENCODINGS[encoding]
    for place in _places(folder):
        file = place / name
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == sha256:
            return file
    raise MissingModel(
        f"no rank file for {encoding!r}: set TIKTOKEN_CACHE_DIR to a folder that holds {name}, or pip install "
        f"llama-index-core, which carries it"
    )


def _places(folder: str | None) -> list[Path]:
    if folder is not None:
        return [Path(folder)]
    places = [Path(cache)] if (cache := os.environ.get("TIKTOKEN_CACHE_DIR")) else []
    for package, inside in _CARRIERS:
        spec = importlib.util.find_spec(package)
        places += [Path(root, inside) for root in (spec.submodule_search_locations or ()) if spec] if spec else []
    return places


@lru_cache(maxsize=8)
def _tokenizers(file: str) -> tokenizers.Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra('the tokenizers counter needs tokenizers: pip install "ragthrift[onnx]"') from error
    if not Path(file).is_file():
        raise MissingModel(f"no tokenizer file at {file!r}: give the path of a tokenizer.json")
    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
