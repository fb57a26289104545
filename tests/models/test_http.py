import asyncio
import json
import socket
import threading

import httpx2
import pytest

from ragthrift.errors import ConfigurationError, RemoteError
from ragthrift.models import CohereScorer, JinaScorer, SpanScorer, TeiScorer, VoyageScorer
from ragthrift.testing import check_scorer

TEXTS = ["soup", "the tower", "tower in Paris, France"]
KEYS = ("CO_API_KEY", "COHERE_API_KEY", "VOYAGE_API_KEY", "JINA_API_KEY", "JINAAI_API_KEY")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)


def transport(handler, seen=None):
    def handle(request):
        if seen is not None:
            seen.append(request)
        return handler(request)

    return httpx2.MockTransport(handle)


def made(kind, handler, seen=None, **settings):
    """A scorer whose requests, sync and async, go to `handler`."""
    via = transport(handler, seen)
    clients = {"client": httpx2.Client(transport=via), "async_client": httpx2.AsyncClient(transport=via)}
    return kind(**{"url": "http://model.test"} | clients | settings)


def lengths(request):
    """A server of every dialect: the score is the length of the text over 10,000; results come best first."""
    body = json.loads(request.content)
    texts = body["texts"] if "texts" in body else body["documents"]
    ranked = sorted(enumerate(texts), key=lambda item: -len(item[1]))
    rows = [{"index": at, "relevance_score": len(text) / 10_000} for at, text in ranked]
    if request.url.path == "/rerank":
        return httpx2.Response(200, json=[{"index": r["index"], "score": r["relevance_score"]} for r in rows])
    if "truncation" in body:
        return httpx2.Response(200, json={"object": "list", "data": rows, "model": body["model"]})
    return httpx2.Response(200, json={"id": "1", "results": rows, "meta": {}})


ALL = (CohereScorer, VoyageScorer, JinaScorer, TeiScorer)


@pytest.mark.parametrize("kind", ALL)
def test_conform(kind):
    check_scorer(lambda: made(kind, lengths))


@pytest.mark.parametrize("kind", ALL)
def test_scores_are_put_back_into_the_order_of_the_texts(kind):
    assert made(kind, lengths).score("q", TEXTS) == [0.0004, 0.0009, 0.0022]


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        (
            CohereScorer,
            "/v2/rerank",
            {"model": "rerank-v5.0-fast", "query": "q", "documents": TEXTS, "max_tokens_per_doc": 4096},
        ),
        (
            VoyageScorer,
            "/v1/rerank",
            {"model": "rerank-2.5-lite", "query": "q", "documents": TEXTS, "truncation": True},
        ),
        (
            JinaScorer,
            "/v1/rerank",
            {
                "model": "jina-reranker-v2-base-multilingual",
                "query": "q",
                "documents": TEXTS,
                "return_documents": False,
            },
        ),
        (TeiScorer, "/rerank", {"query": "q", "texts": TEXTS, "raw_scores": False, "truncate": True}),
    ],
)
def test_what_goes_over_the_wire(kind, path, body):
    seen = []
    made(kind, lengths, seen, api_key="secret", url="http://model.test/").score("q", TEXTS)
    assert seen[0].url.path == path
    assert json.loads(seen[0].content) == body
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert seen[0].headers["content-type"] == "application/json"


def test_keys_come_from_the_environment_and_stay_out_of_sight(monkeypatch):
    monkeypatch.setenv("COHERE_API_KEY", "from-environment")
    seen = []
    made(CohereScorer, lengths, seen, url="https://api.cohere.com").score("q", ["t"])
    assert seen[0].headers["authorization"] == "Bearer from-environment"
    made(CohereScorer, lengths, seen).score("q", ["t"])
    assert "authorization" not in seen[1].headers, "the key of a provider must not go to another host"
    scorer = made(CohereScorer, lambda request: httpx2.Response(401, json={"message": "no"}), api_key="very-secret")
    with pytest.raises(RemoteError) as caught:
        scorer.score("q", ["t"])
    assert "secret" not in f"{scorer!r} {caught.value}"
    assert str(caught.value) == 'CohereScorer at model.test answered 401: {"message":"no"}'


@pytest.mark.parametrize(
    ("kind", "name"), [(CohereScorer, "CO_API_KEY"), (VoyageScorer, "VOYAGE_API_KEY"), (JinaScorer, "JINA_API_KEY")]
)
def test_a_provider_needs_a_key_and_an_own_server_does_not(kind, name):
    with pytest.raises(ConfigurationError, match=f"needs api_key or the environment variable {name}"):
        kind().score("q", ["t"])
    assert made(kind, lengths).score("q", ["t"]) == [0.0001]


def test_a_key_that_is_no_header_is_refused_without_being_shown():
    with pytest.raises(ConfigurationError) as caught:
        made(CohereScorer, lengths, api_key="bad\nsecret").score("q", ["t"])
    assert "secret" not in str(caught.value)


def rows(*pairs):
    return {"results": [{"index": at, "relevance_score": score} for at, score in pairs]}


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (rows((0, 0.1), (1, 0.2), (3, 0.3)), "the index 3, but 3 texts were sent"),
        (rows((0, 0.1), (1, 0.2), (-1, 0.3)), "the index -1, but 3 texts"),
        (rows((0, 0.1), (1, 0.2), (True, 0.3)), "the index True, but 3 texts"),
        (rows((0, 0.1), (1, 0.2), ("2", 0.3)), "the index '2', but 3 texts"),
        (rows((0, 0.1), (1, 0.2), (1, 0.3)), "twice for the index 1"),
        (rows((0, 0.1), (2, 0.2)), r"left out the index 1 \(1 of 3 are missing\)"),
        (rows((0, 0.1), (1, None), (2, 0.2)), "scored the index 1 as None"),
        (rows((0, 0.1), (1, "0.5"), (2, 0.2)), "scored the index 1 as '0.5'"),
        ({"results": None}, "without a list of results"),
        ({"message": "hello"}, 'without a list of results: {"message": "hello"}'),
        ([], r"without a list of results: \[\]"),
        ({"results": ["a", "b", "c"]}, "the index None"),
    ],
)
def test_answers_that_cannot_be_trusted(answer, complaint):
    with pytest.raises(RemoteError, match=complaint):
        made(CohereScorer, lambda request: httpx2.Response(200, json=answer)).score("q", TEXTS)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_scores_that_are_no_numbers(number):
    text = f'{{"results": [{{"index": 0, "relevance_score": {number}}}]}}'
    with pytest.raises(RemoteError, match="scored the index 0 as"):
        made(CohereScorer, lambda request: httpx2.Response(200, text=text)).score("q", ["t"])


def test_an_answer_that_is_no_json():
    with pytest.raises(RemoteError, match="did not answer with JSON but with b'<html>'"):
        made(JinaScorer, lambda request: httpx2.Response(200, text="<html>")).score("q", ["t"])


def flaky(status, pause, times=1):
    """A server that fails so many times, asking for a pause, and then works."""
    left = [status] * times

    def handle(request):
        return httpx2.Response(left.pop(), headers={"retry-after": pause}) if left else lengths(request)

    return handle


NOW = {"retry-after": "0"}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_passing_troubles_are_tried_again(status):
    assert made(CohereScorer, flaky(status, "0", times=2)).score("q", ["t"]) == [0.0001]
    assert await made(CohereScorer, flaky(status, "0", times=2)).ascore("q", ["t"]) == [0.0001]


def test_the_number_of_tries_is_bounded():
    seen = []
    scorer = made(CohereScorer, lambda r: httpx2.Response(503, headers=NOW, text="busy"), seen, retries=3)
    with pytest.raises(RemoteError, match=r"answered 503: busy \(4 attempts\)"):
        scorer.score("q", ["t"])
    assert len(seen) == 4


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422, 424, 501])
def test_lasting_troubles_are_not_tried_again(status):
    seen = []
    with pytest.raises(RemoteError, match=f"answered {status}"):
        made(TeiScorer, lambda request: httpx2.Response(status), seen).score("q", ["t"])
    assert len(seen) == 1


@pytest.mark.parametrize("later", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT", "inf"])
def test_a_long_pause_is_not_waited_for(later):
    seen = []
    with pytest.raises(RemoteError, match="answered 429; it asks to wait"):
        made(CohereScorer, lambda r: httpx2.Response(429, headers={"retry-after": later}), seen).score("q", ["t"])
    assert len(seen) == 1


@pytest.mark.parametrize("odd", ["Wed, 21 Oct 2015 07:28:00 GMT", "-5", "nan"])
def test_a_pause_that_is_over(odd):
    assert made(CohereScorer, flaky(429, odd)).score("q", ["t"]) == [0.0001]


def test_a_pause_nobody_understands_falls_back_to_our_own():
    assert made(CohereScorer, flaky(429, "soon")).score("q", ["t"]) == [0.0001]


def test_many_texts_go_in_several_requests():
    seen = []
    texts = ["x" * n for n in range(1, 2501)]
    assert made(CohereScorer, lengths, seen).score("q", texts) == [n / 10_000 for n in range(1, 2501)]
    assert [len(json.loads(request.content)["documents"]) for request in seen] == [1000, 1000, 500]
    seen.clear()
    assert made(TeiScorer, lengths, seen).score("q", texts[:70]) == [n / 10_000 for n in range(1, 71)]
    assert [len(json.loads(request.content)["texts"]) for request in seen] == [32, 32, 6]


def test_huge_texts_are_cut_and_spread():
    seen = []
    scores = made(TeiScorer, lengths, seen).score("q" * 10**6, ["x" * 5_000_000] * 20)
    assert scores == [13.1072] * 20  # 8192 tokens of 16 characters
    assert len(seen) == 2
    assert all(len(request.content) < 2_000_000 for request in seen)
    seen.clear()
    made(CohereScorer, lengths, seen, max_tokens_per_doc=100).score("q", ["x" * 5_000_000])
    assert len(json.loads(seen[0].content)["documents"][0]) == 1600


def test_blank_texts_go_out_as_a_full_stop():
    seen = []
    assert made(CohereScorer, lengths, seen).score(" ", ["", "soup", "\n"]) == [0.0001, 0.0004, 0.0001]
    assert json.loads(seen[0].content)["documents"] == [".", "soup", "."]
    assert json.loads(seen[0].content)["query"] == "."


def test_a_lone_surrogate_does_not_break_the_request():
    assert made(VoyageScorer, lengths).score("\ud800", ["a\udfffb", "é"]) == [0.0003, 0.0001]


def spans(request):
    body = json.loads(request.content)
    assert body["relevant_spans"] == {"mode": "enabled", "threshold": 0.3, "max_spans": 2}
    found = [
        {"index": 1, "relevance_score": 0.9, "relevant_spans": [{"start": 4, "end": 9, "score": 0.8}]},
        {"index": 0, "relevance_score": 0.1},
    ]
    return httpx2.Response(200, json={"results": found})


async def test_relevant_spans_are_code_points():
    scorer = made(CohereScorer, spans, span_threshold=0.3, max_spans=2)
    texts = ["soup", "🚀 e\u0301tower"]
    assert isinstance(scorer, SpanScorer)
    assert scorer.relevant_spans("q", texts) == [[], [(4, 9, 0.8)]]
    assert texts[1][4:9] == "tower"
    assert await scorer.arelevant_spans("q", texts) == [[], [(4, 9, 0.8)]]
    assert scorer.relevant_spans("q", []) == []
    assert not isinstance(made(JinaScorer, spans), SpanScorer)


@pytest.mark.parametrize(
    "span",
    [
        {"start": 0, "end": 5, "score": 1.0},
        {"start": -1, "end": 2, "score": 1.0},
        {"start": 2, "end": 2, "score": 1.0},
        {"start": 0, "end": 2, "score": None},
        {"start": 0.0, "end": 2, "score": 1.0},
        "0-2",
    ],
)
def test_spans_that_cannot_be_trusted(span):
    answer = {"results": [{"index": 0, "relevance_score": 0.5, "relevant_spans": [span]}]}
    with pytest.raises(RemoteError, match="for the index 0, a text of 4 characters"):
        made(CohereScorer, lambda request: httpx2.Response(200, json=answer)).relevant_spans("q", ["soup"])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "model.test"}, "url must start with http:// or https://, got 'model.test'"),
        ({"timeout_s": 0}, "timeout_s must be above 0, got 0"),
        ({"retries": -1}, "retries must be 0 or more, got -1"),
    ],
)
def test_wrong_settings(settings, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        CohereScorer(**settings)


def test_a_closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RemoteError, match=r"TeiScorer at 127\.0\.0\.1 cannot be reached"):
        TeiScorer(url=url, retries=0).score("q", ["t"])
    with pytest.raises(RemoteError, match=r"cannot be reached: .* \(2 attempts\)"):
        asyncio.run(TeiScorer(url=url, retries=1).ascore("q", ["t"]))


@pytest.fixture
def dripping():
    """A server that promises an answer and sends one byte of it at a time, without end."""
    stop = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)

    def drip(connection):
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    def accept():
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=drip, args=(connection,))
            threads.append(thread)
            thread.start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    stop.set()
    for thread in threads:
        thread.join()
    server.close()


def test_a_server_that_never_ends_its_answer(dripping):
    scorer = TeiScorer(url=dripping, retries=0, timeout_s=0.3)
    with pytest.raises(RemoteError, match=r"did not answer within 0\.3 s"):
        scorer.score("q", ["t"])
    with pytest.raises(RemoteError, match=r"did not answer within 0\.3 s"):
        asyncio.run(scorer.ascore("q", ["t"]))
