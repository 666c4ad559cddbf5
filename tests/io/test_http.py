from __future__ import annotations

import http.server
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Cancelled, RegistryError
from localkit.events import CancelToken, Progress
from localkit.io.http import Deadline, Http, Origin, Pace, ask_again, read_document
from localkit.io.http.address import is_loopback_host
from localkit.io.http.failures import retry_after_s
from localkit.io.http.pace import wait
from tests.fixtures.registry import Answer, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST = Pace(shortest_s=0.001, longest_s=0.002)


@pytest.fixture
def server() -> Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        yield server


def test_a_document_is_read_with_its_status_and_headers(
    server: HostileRegistry,
) -> None:
    server.answer("/x", Answer(201, {"X-Kind": "good"}, b"hello"))
    with Http(server.url) as http:
        found = read_document(http, "GET", "/x", limit=5)
    assert (found.status, found.headers["x-kind"], found.body) == (
        201,
        "good",
        b"hello",
    )
    assert str(found.origin) == server.url


def test_a_document_is_asked_for_plainly(server: HostileRegistry) -> None:
    server.answer("/x", Answer())
    with Http(server.url) as http:
        read_document(http, "GET", "/x", limit=5, headers={"Accept-Encoding": "gzip"})
    (seen,) = server.seen
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["user-agent"].startswith("localkit/")


def test_a_connection_is_used_again_only_where_that_is_wanted(
    server: HostileRegistry,
) -> None:
    server.answer("/x", Answer(body=b"y"))
    for keep_alive, n_connections in ((True, 1), (False, 3)):
        before = server.n_connections
        with Http(server.url, keep_alive=keep_alive) as http:
            for _ in range(3):
                with http.open("GET", "/x") as reply:
                    assert reply.start_of_body(10) == b"y"
        assert server.n_connections - before == n_connections


def test_a_client_that_was_closed_opens_again(server: HostileRegistry) -> None:
    server.answer("/x", Answer(body=b"y"))
    http = Http(server.url)
    for _ in range(2):
        with http.open("GET", "/x") as reply:
            assert reply.status == 200
        http.close()


def test_the_environments_proxy_is_used(
    server: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer("registry.example", Answer(body=b"through the proxy"))
    monkeypatch.setenv("HTTP_PROXY", server.url)
    with Http("http://registry.example") as http:
        found = read_document(http, "GET", "/x", limit=100)
    assert found.body == b"through the proxy"
    assert server.seen[0].path == "http://registry.example/x"


def test_a_proxy_does_not_let_a_redirect_to_a_near_address_through(
    server: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = Answer(302, {"Location": "http://10.0.0.1/"})
    server.answer("registry.example", near)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    with (
        Http("http://registry.example") as http,
        pytest.raises(RegistryError, match=r"10\.0\.0\.1"),
    ):
        read_document(http, "GET", "/x", limit=100)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        *[(text, None) for text in (None, "", "soon", "-5", "1e9", "5.5", "9" * 400)],
    ],
)
def test_P4_retry_after_is_read_as_seconds(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after_s(value) == seconds


def test_P4_retry_after_is_read_as_a_date() -> None:
    found = retry_after_s(formatdate(time.time() + 100, usegmt=True))
    assert found == pytest.approx(100, abs=3)
    assert retry_after_s(formatdate(time.time() - 100, usegmt=True)) == 0


def test_P4_pauses_grow_within_their_bounds_and_differ() -> None:
    pace = Pace()
    for n_failed in range(1, 20):
        drawn = {pace.pause_s(n_failed) for _ in range(50)}
        assert all(0.1 <= pause <= 10.0 for pause in drawn)
    early = sum(pace.pause_s(2) for _ in range(100))
    late = sum(pace.pause_s(4) for _ in range(100))
    assert late > 5 * early
    assert len({pace.pause_s(3) for _ in range(50)}) > 1


class Failing:
    """Fails so often with an error, then answers."""

    def __init__(self, error: RegistryError, n_failures: int) -> None:
        self.error = error
        self.n_failures = n_failures
        self.n_calls = 0

    def __call__(self) -> str:
        self.n_calls += 1
        if self.n_calls <= self.n_failures:
            raise self.error
        return "answer"


def passing(**more: float) -> RegistryError:
    after_s = more.get("retry_after_s")
    return RegistryError("busy", status=503, retryable=True, retry_after_s=after_s)


def test_P4_passing_trouble_is_waited_out_and_every_wait_is_told() -> None:
    ask = Failing(passing(), 5)
    told: list[Progress] = []
    assert ask_again(ask, FAST, on_progress=told.append) == "answer"
    assert ask.n_calls == 6
    assert [report.step.partition(", then ")[2] for report in told] == [
        f"try {number} of 6: busy" for number in range(2, 7)
    ]


def test_P4_the_sixth_failure_is_the_last() -> None:
    ask = Failing(passing(), 99)
    with pytest.raises(RegistryError):
        ask_again(ask, FAST)
    assert ask.n_calls == 6


def test_P4_what_will_not_pass_is_not_asked_again() -> None:
    ask = Failing(RegistryError("no", status=403), 1)
    with pytest.raises(RegistryError, match="no"):
        ask_again(ask, FAST)
    assert ask.n_calls == 1


def test_P4_the_pause_that_is_asked_for_is_kept() -> None:
    ask = Failing(passing(retry_after_s=0.25), 1)
    told: list[Progress] = []
    start = time.monotonic()
    ask_again(ask, FAST, on_progress=told.append)
    assert time.monotonic() - start >= 0.25
    assert told[0].step.startswith("waiting 0.2 s")


def test_P4_a_pause_beyond_the_cap_is_not_waited_for() -> None:
    ask = Failing(passing(retry_after_s=3600), 1)
    start = time.monotonic()
    with pytest.raises(RegistryError):
        ask_again(ask, Pace())
    assert (ask.n_calls, time.monotonic() - start < 1) == (1, True)


def test_P4_tries_end_with_the_deadline() -> None:
    ask = Failing(passing(), 99)
    with pytest.raises(RegistryError):
        ask_again(ask, Pace(shortest_s=5), deadline=Deadline(1))
    assert ask.n_calls == 1


def test_a_pause_ends_when_cancelled() -> None:
    cancel = CancelToken()

    def cancel_it(_: Progress) -> None:
        cancel.cancel()

    start = time.monotonic()
    with pytest.raises(Cancelled):
        ask_again(
            Failing(passing(retry_after_s=30), 1),
            Pace(),
            on_progress=cancel_it,
            cancel=cancel,
        )
    with pytest.raises(Cancelled):
        wait(30, cancel)
    assert time.monotonic() - start < 1


def test_P4_a_server_that_asks_to_wait_is_quoted(server: HostileRegistry) -> None:
    server.answer("/x", Answer(429, {"Retry-After": "90"}, b'{"error":"slow down"}'))
    with Http(server.url) as http:
        found = read_document(http, "GET", "/x", limit=5)
    with pytest.raises(RegistryError) as caught:
        found.accepted(what="it", doing="asking")
    assert caught.value.retry_after_s == 90
    assert "slow down" in str(caught.value)
    assert "90 s" in caught.value.hint


def test_origins_are_equal_with_and_without_the_usual_port() -> None:
    import httpx2

    def origin(url: str) -> Origin:
        return Origin.of(httpx2.URL(url))

    assert origin("https://A.example/x") == origin("https://a.example:443")
    assert str(origin("https://a.example:443")) == "https://a.example"
    assert origin("http://a.example") != origin("https://a.example")
    assert str(origin("http://[::1]:5000/x")) == "http://[::1]:5000"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("a.localhost", True),
        ("[::1]:5000", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
        ("registry.ollama.ai", False),
        ("127.0.0.1x", False),
    ],
)
def test_only_this_machine_is_spoken_to_in_plain_http(host: str, here: bool) -> None:
    assert is_loopback_host(host) is here


def test_a_name_that_is_no_host_is_a_typed_error() -> None:
    for origin in ("http://[::1", "http://a b", "http://", "http://a:x"):
        with pytest.raises(RegistryError):
            Http(origin)


def test_an_answer_that_ends_early_is_an_error_and_no_short_document() -> None:
    class Liar(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Liar) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            with (
                Http(f"http://127.0.0.1:{server.server_port}") as client,
                pytest.raises(RegistryError, match="broke") as caught,
            ):
                read_document(client, "GET", "/", limit=1000)
            assert caught.value.retryable
        finally:
            server.shutdown()
            thread.join()
