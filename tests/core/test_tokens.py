"""Token counters count what the prompt holds, offline, whatever the text."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import tiktoken

from ragthrift.errors import ConfigurationError, MissingModel
from ragthrift.tokens import (
    APPROXIMATE,
    CHUNK,
    Approximate,
    Tiktoken,
    TokenCounter,
    Tokenizers,
    _rank_file,
    counter,
    label,
    render,
)
from ragthrift.types import Passage


def bert(folder):
    return Tokenizers(str(Path(folder) / "all-MiniLM-L6-v2-int8" / "tokenizer.json"))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("abcd", 1),
        ("abcde", 2),
        ("é", 1),
        ("世界東京", 3),
        ("👍", 1),
        ("\ud800", 1),
        ("a" * 4000, 1000),
    ],
)
def test_the_approximate_counter_divides_bytes(text, tokens):
    assert APPROXIMATE.count(text) == tokens


@pytest.mark.parametrize("bad", [0, -1, math.nan])
def test_a_rate_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ConfigurationError, match="bytes_per_token"):
        Approximate(bad)


@pytest.mark.parametrize(
    ("text", "o200k", "cl100k"),
    [("", 0, 0), ("hello world", 2, 2), ("Hello, world!", 4, 4), ("<|endoftext|>", 7, 7), (" \n\n", 1, 1)],
)
def test_tiktoken_counts_exactly_and_special_tokens_as_text(text, o200k, cl100k):
    assert Tiktoken("o200k_base").count(text) == o200k
    assert Tiktoken("cl100k_base").count(text) == cl100k


def test_tiktoken_agrees_with_the_library(monkeypatch):
    text = "The tower was completed in 1889. 世界 👩‍👩‍👧 naïve\r\n\tx = 1"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(_rank_file("o200k_base", None).parent))
    assert Tiktoken("o200k_base").count(text) == len(tiktoken.get_encoding("o200k_base").encode(text))


def test_special_tokens_of_a_tokenizer_are_left_out(models_folder):
    assert bert(models_folder).count("") == 0
    assert bert(models_folder).count("hello world") == 2
    assert bert(models_folder).count("embeddings") == 4


def test_a_tokenizer_counts_beyond_the_length_that_its_file_cuts_at(models_folder):
    assert bert(models_folder).count("word " * 5000) == 5000


@pytest.mark.parametrize("text", ["\ud800", "a\udc00b", "\x00", "e\u0301" * 50, "👩‍👩‍👧" * 20, "שלום مرحبا สวัสดี 世界"])
def test_every_counter_counts_any_text(models_folder, text):
    for one in (APPROXIMATE, Tiktoken(), bert(models_folder)):
        assert isinstance(one, TokenCounter)
        assert one.count(text) == one.count(text) >= 0


def test_an_endless_word_is_counted_in_pieces(models_folder):
    text = "x" * (2 * CHUNK + 10)
    for one in (Tiktoken(), bert(models_folder)):
        assert one.count(text) == 2 * one.count("x" * CHUNK) + one.count("x" * 10)


def test_counters_have_names(models_folder):
    file = bert(models_folder).file
    assert [counter(name) for name in ("approximate", "o200k_base", "cl100k_base", file)] == [
        Approximate(),
        Tiktoken("o200k_base"),
        Tiktoken("cl100k_base"),
        Tokenizers(file),
    ]
    with pytest.raises(ConfigurationError, match="unknown token counter 'gpt'"):
        counter("gpt")
    with pytest.raises(ConfigurationError, match="unknown encoding 'p50k_base'"):
        Tiktoken("p50k_base").count("x")


def test_a_missing_file_is_named_and_nothing_is_fetched(tmp_path):
    with pytest.raises(MissingModel, match="TIKTOKEN_CACHE_DIR"):
        Tiktoken("o200k_base", str(tmp_path)).count("x")
    (tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790").write_bytes(b"tampered with")
    with pytest.raises(MissingModel, match="TIKTOKEN_CACHE_DIR"):
        Tiktoken("o200k_base", str(tmp_path)).count("x")
    assert (tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790").read_bytes() == b"tampered with"
    with pytest.raises(MissingModel, match=r"tokenizer\.json"):
        Tokenizers(str(tmp_path / "tokenizer.json")).count("x")


def test_the_environment_is_left_as_it_was(monkeypatch):
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    assert Tiktoken("cl100k_base").count("hello") == 1
    assert "TIKTOKEN_CACHE_DIR" not in os.environ


def test_a_passage_is_rendered_with_its_label_and_tail():
    given = [
        Passage("text", title="Title"),
        Passage("text", title="Title", label=""),
        Passage("text", label="[3] ", tail="</doc>"),
        Passage("text"),
    ]
    assert [label(p) for p in given] == ["Title\n", "", "[3] ", ""]
    assert render(given, " + ") == "Title\ntext + text + [3] text</doc> + text"
    assert render([]) == ""
