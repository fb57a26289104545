import asyncio
import base64
import json
import socket
import struct
import subprocess
import sys
import threading
import time

import httpx2
import pytest
import uvicorn

from ragthrift.errors import RemoteError
from ragthrift.models import CohereScorer, JinaScorer, OnnxEmbedder, OnnxScorer, TeiScorer
from ragthrift.testing import FixedScorer, check_scorer
from ragthrift_worker import app

BERLIN = "How many people live in Berlin?"
TEXTS = [
    "Berlin is well known for its museums.",
    "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
    "Soup is made with onions.",
]


def served(application):
    """Serve on a free loopback port from a thread; yields the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended before it was up"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def url(models_folder):
    yield from served(app(OnnxScorer(), OnnxEmbedder(), name="ms-marco"))


@pytest.fixture
def post(url):
    with httpx2.Client(base_url=url, timeout=60) as client:
        yield lambda path, body: client.post(path, json=body)


def test_the_four_clients_agree_with_the_model(url):
    logits = OnnxScorer().score(BERLIN, TEXTS)
    assert TeiScorer(url=url, raw_scores=True).score(BERLIN, TEXTS) == pytest.approx(logits)
    probabilities = TeiScorer(url=url).score(BERLIN, TEXTS)
    assert probabilities[1] > 0.99 > 0.1 > probabilities[0] > probabilities[2]
    assert CohereScorer(url=url).score(BERLIN, TEXTS) == probabilities
    assert JinaScorer(url=url).score(BERLIN, TEXTS) == probabilities
    assert asyncio.run(CohereScorer(url=url).ascore(BERLIN, TEXTS)) == probabilities


def test_the_clients_conform_against_the_server(url):
    for kind in (CohereScorer, JinaScorer, TeiScorer):
        check_scorer(lambda kind=kind: kind(url=url))


def test_cohere(post):
    answer = post("/v2/rerank", {"query": BERLIN, "documents": TEXTS, "top_n": 2, "max_tokens_per_doc": None, "new": 1})
    assert answer.status_code == 200
    assert [row["index"] for row in answer.json()["results"]] == [1, 0]
    answer = post("/v2/rerank", {"query": BERLIN, "documents": [{"text": TEXTS[1]}], "top_n": None})
    assert answer.json()["results"][0]["relevance_score"] > 0.99


def test_jina(post):
    body = {"model": "any", "query": BERLIN, "documents": TEXTS, "top_n": 1, "return_documents": True}
    answer = post("/v1/rerank", body).json()
    assert answer["results"][0]["document"] == {"text": TEXTS[1]}
    assert answer["model"] == "ms-marco"
    assert answer["usage"]["total_tokens"] > 0


def test_tei(post):
    answer = post("/rerank", {"query": BERLIN, "texts": TEXTS, "raw_scores": True, "return_text": True}).json()
    assert [row["index"] for row in answer] == [1, 0, 2]
    assert answer[0]["text"] == TEXTS[1]
    assert answer[0]["score"] == pytest.approx(9.2, abs=0.5)


def test_openai_embeddings_as_numbers_and_as_base64(post):
    numbers = post("/v1/embeddings", {"model": "any", "input": TEXTS[:2], "encoding_format": "float"}).json()
    packed = post("/v1/embeddings", {"model": "any", "input": TEXTS[:2], "encoding_format": "base64"}).json()
    expected = OnnxEmbedder().embed(TEXTS[:2])
    for at in range(2):
        assert numbers["data"][at]["index"] == at
        assert numbers["data"][at]["embedding"] == pytest.approx(expected[at])
        raw = base64.b64decode(packed["data"][at]["embedding"])
        assert list(struct.unpack("<384f", raw)) == pytest.approx(expected[at], abs=1e-6)
    assert len(post("/v1/embeddings", {"input": "one text"}).json()["data"]) == 1


def test_health_and_models(url):
    assert httpx2.get(f"{url}/health/live").json() == {"status": "live"}
    assert httpx2.get(f"{url}/health/ready").json() == {"status": "ready"}
    assert httpx2.get(f"{url}/v1/models").json()["data"][0]["id"] == "ms-marco"


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/v2/rerank", {"documents": ["a"]}, 400, {"message": "query must be a string, got None"}),
        (
            "/v2/rerank",
            {"query": "q", "documents": []},
            400,
            {"message": "documents must be a list with at least one text"},
        ),
        ("/v1/rerank", {"query": "q", "documents": [1]}, 400, {"detail": "documents[0] must be a text, got int"}),
        (
            "/v1/rerank",
            {"query": "q", "documents": ["a"], "top_n": 0},
            400,
            {"detail": "top_n must be a whole number above 0, got 0"},
        ),
        (
            "/rerank",
            {"query": "q", "texts": "a"},
            422,
            {"error": "texts must be a list with at least one text", "error_type": "validation"},
        ),
        (
            "/v1/embeddings",
            {"input": [[1, 2]]},
            400,
            {
                "error": {
                    "message": "input[0] must be a text, got list",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": None,
                }
            },
        ),
    ],
)
def test_errors_come_in_the_dialect_of_the_route(post, path, body, status, error):
    answer = post(path, body)
    assert (answer.status_code, answer.json()) == (status, error)


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"encoding_format": "hex"}, "encoding_format"), ({"dimensions": 3}, "dimensions must be 384")],
)
def test_embedding_wishes_that_cannot_be_kept(post, settings, word):
    answer = post("/v1/embeddings", {"input": "text"} | settings)
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


def test_bodies_that_are_no_objects(url):
    assert httpx2.post(f"{url}/v2/rerank", content=b"{").json()["message"].startswith("the request is not JSON")
    assert httpx2.post(f"{url}/v2/rerank", content=b"[]").json() == {"message": "the request must be a JSON object"}


def test_a_body_that_is_too_large(url):
    answer = httpx2.post(f"{url}/rerank", content=b" " * (33 << 20), timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (413, "the request is larger than 33554432 bytes")


class Raising:
    def score(self, query, texts):
        if query == "ready?":
            return [0.0]
        raise RuntimeError(f"private: {query}")


def test_a_model_that_raises_is_a_500_that_tells_nothing():
    for url in served(app(Raising())):
        answer = httpx2.post(f"{url}/rerank", json={"query": "secret", "texts": ["a"]})
        assert (answer.status_code, answer.json()["error_type"]) == (500, "backend")
        assert "secret" not in answer.text
        with pytest.raises(RemoteError, match="answered 500"):
            TeiScorer(url=url, retries=0).score("secret", ["a"])


def test_no_embedder():
    for url in served(app(FixedScorer([1.0]))):
        answer = httpx2.post(f"{url}/v1/embeddings", json={"input": "a"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, "this server has no embedding model")


class Waiting:
    """A model that answers its second caller only after a health check has come through."""

    def __init__(self):
        self.checked = threading.Event()

    def score(self, query, texts):
        assert query == "ready?" or self.checked.wait(30)
        return [0.0 for _ in texts]


def test_a_busy_model_does_not_block_the_loop():
    model = Waiting()
    for url in served(app(model)):
        scoring = threading.Thread(target=lambda url=url: TeiScorer(url=url).score("q", ["a"]))
        scoring.start()
        assert httpx2.get(f"{url}/health/live").status_code == 200
        model.checked.set()
        scoring.join()


def test_the_command_serves(models_folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "ragthrift_worker", "serve", "--port", port, "--log-level", "warning"]
    with subprocess.Popen(command) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                try:
                    if httpx2.get(f"{url}/health/ready").status_code == 200:
                        break
                except httpx2.TransportError:
                    time.sleep(0.1)
            assert max(TeiScorer(url=url).score(BERLIN, TEXTS)) > 0.99
        finally:
            process.terminate()


def test_the_command_names_a_missing_model(tmp_path):
    command = [sys.executable, "-m", "ragthrift_worker", "serve", "--model", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("no file ")
    assert json.dumps(ended.stdout) == '""'
