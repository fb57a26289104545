from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ragthrift.errors import ConfigurationError, RemoteError
from ragthrift.tokens import Approximate
from ragthrift_bench.context.arms import Kept
from ragthrift_bench.context.reading import read, scored
from ragthrift_bench.context.run import CLOSED, FULL, GOLD, plan_of
from ragthrift_bench.harness.journal import Journal
from ragthrift_bench.harness.readers import ChatReader, HttpReader, LocalReader, open_reader, prompt_for
from ragthrift_bench.harness.rows import load

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def local() -> Iterator[LocalReader]:
    from ragthrift.models.catalogue import locate

    found = Path(locate("smollm2-135m-instruct-q4_1"))
    reader = LocalReader.from_file(found)
    yield reader
    reader.close()


def test_a_real_local_model_answers_over_http(local: LocalReader, rows_file: Path, tmp_path: Path):
    data = load(str(rows_file))
    plan = plan_of(data, data.rows[:2], [0.5], Approximate())
    journal = Journal(tmp_path / "journal.jsonl", "s")
    answers = read(
        plan,
        {"rival:nothing": lambda task: Kept(())},
        (0.5,),
        local,
        journal,
        rows=2,
        seconds=None,
        tick=lambda done: None,
    )
    assert answers.rows == (0, 1)
    assert all(reply.strip() for reply in answers.replies[FULL, 1.0])
    assert set(answers.columns) == {(FULL, 1.0), (GOLD, 1.0), (CLOSED, 1.0), ("rival:nothing", 0.5)}
    assert answers.replies["rival:nothing", 0.5] == answers.replies[CLOSED, 1.0]  # the same prompt is asked once
    assert len(journal) == 6
    assert all(tokens and tokens <= 32 for tokens in answers.columns[FULL, 1.0]["output_tokens"])
    through_url = HttpReader.from_url(local.url)
    reply = through_url.ask(prompt_for("Who founded the Blue Mill?", "The Blue Mill was founded by Ada Nore."))
    assert reply.text.strip()
    assert reply.tokens_in
    assert reply.tokens_in > 20


def test_the_question_stands_last():
    prompt = prompt_for("Who?", "Ada.")
    assert prompt.endswith("Question: Who?\nAnswer:")
    assert prompt.index("Ada.") < prompt.index("Who?")
    assert "Context" not in prompt_for("Who?", " ")


def test_marks(rows_file: Path):
    founder, _, moon = load(str(rows_file)).rows
    assert scored(founder, "Ada Nore") == {
        "reader_f1": 1.0,
        "reader_em": 1.0,
        "reader_contains": 1.0,
        "abstain_right": 1.0,
    }
    assert scored(founder, "unanswerable")["abstain_right"] == 0.0
    assert scored(moon, "unanswerable") == {"abstain_right": 1.0}
    assert scored(moon, "Nobody") == {"abstain_right": 0.0}


def test_a_langchain_chat_model_reads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(HERE)
    monkeypatch.syspath_prepend(str(HERE))
    reader = open_reader("chains:chat")
    assert isinstance(reader, ChatReader)
    assert reader.ask("Who?").text == "Ada Nore"


class _Server(BaseHTTPRequestHandler):
    answer: bytes = b"{}"
    status = 200

    def do_GET(self) -> None:
        self._send(b'{"data": [{"id": "tiny"}]}', 200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send(type(self).answer, type(self).status)

    def _send(self, body: bytes, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (500, b"out of memory", "answered 500: out of memory"),
        (200, b"not json", "gave no usable answer"),
        (200, b"[]", "answered with list, expected an object"),
        (200, json.dumps({"choices": []}).encode(), "has no choices"),
    ],
)
def test_a_broken_server_is_one_clear_error(server: ThreadingHTTPServer, status: int, answer: bytes, said: str):
    _Server.status, _Server.answer = status, answer
    reader = open_reader(f"http://127.0.0.1:{server.server_port}/v1")
    assert reader is not None
    assert reader.name == "tiny"
    with pytest.raises(RemoteError, match=said):
        reader.ask("Who?")


def test_a_dead_server_is_one_clear_error():
    with pytest.raises(RemoteError, match="gave no usable answer"):
        open_reader("http://127.0.0.1:9/v1")


@pytest.mark.parametrize("spec", ["local:7b", "local:/nowhere/x.gguf", "gpt", "chains_nowhere:chat", ":"])
def test_an_unknown_reader_is_a_configuration_error(spec: str):
    with pytest.raises(ConfigurationError, match="--reader"):
        open_reader(spec)


def test_no_reader():
    assert open_reader("none") is None
