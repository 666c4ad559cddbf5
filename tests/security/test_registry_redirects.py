"""P7: where a registry may send us, and what travels along.

Loopback has many addresses: here 127.0.0.2 and 127.0.0.3 play servers that
everybody reaches, 127.0.0.1 the machine's own.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from localkit.errors import RegistryError
from localkit.io.http import Http, Reach, reach_of
from tests.fixtures.registry import Answer, HostileRegistry, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-5d20aa"
SECRETS = {
    "Authorization": SecretStr(f"Bearer {CANARY}"),
    "X-Registry-Key": SecretStr(CANARY),
}


def staged_reach(address: str) -> Reach:
    """Return the part that an address plays in these tests."""
    public = address in {"127.0.0.2", "127.0.0.3"}
    return Reach.PUBLIC if public else reach_of(address)


def server(address: str) -> HostileRegistry:
    server = HostileRegistry(address)
    server.answer("/end", Answer(body=b"here", headers={"Set-Cookie": "c=1; Path=/"}))
    return server


@pytest.fixture
def public() -> Iterator[HostileRegistry]:
    with server("127.0.0.2") as one:
        yield one


@pytest.fixture
def elsewhere() -> Iterator[HostileRegistry]:
    with server("127.0.0.3") as one:
        yield one


@pytest.fixture
def private() -> Iterator[HostileRegistry]:
    with server("127.0.0.1") as one:
        yield one


def fetched(origin: str, path: str = "/start") -> bytes:
    with (
        Http(origin, stall_s=2, reach=staged_reach) as http,
        http.open("GET", path, secrets=SECRETS, headers={"X-Trace": CANARY}) as reply,
    ):
        return reply.start_of_body(1000)


def leads_to(registry: HostileRegistry, location: str, status: int = 307) -> None:
    registry.answer("/start", Answer(status, {"Location": location}))


def leaked(server: HostileRegistry) -> list[Seen]:
    return [seen for seen in server.seen if CANARY in str(seen.headers)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_P7_another_host_gets_the_request_and_no_secret(
    public: HostileRegistry, elsewhere: HostileRegistry, status: int
) -> None:
    leads_to(public, f"{elsewhere.url}/end", status)
    assert fetched(public.url) == b"here"
    (request,) = elsewhere.seen
    assert set(request.headers) <= {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
    }
    assert leaked(public)


def test_P7_another_port_of_the_same_host_gets_no_secret(
    public: HostileRegistry,
) -> None:
    with server("127.0.0.2") as neighbour:
        leads_to(public, f"{neighbour.url}/end")
        assert fetched(public.url) == b"here"
        assert leaked(neighbour) == []


def test_P7_a_way_there_and_back_does_not_bring_the_secrets_back(
    public: HostileRegistry, elsewhere: HostileRegistry
) -> None:
    leads_to(public, f"{elsewhere.url}/back")
    elsewhere.answer("/back", Answer(302, {"Location": f"{public.url}/end"}))
    assert fetched(public.url) == b"here"
    assert leaked(elsewhere) == []
    assert [seen.path for seen in leaked(public)] == ["/start"]


def test_P7_the_same_origin_keeps_the_secrets(public: HostileRegistry) -> None:
    leads_to(public, "/end")
    assert fetched(public.url) == b"here"
    assert [seen.path for seen in leaked(public)] == ["/start", "/end"]


def test_P7_no_cookie_is_kept(public: HostileRegistry) -> None:
    with Http(public.url, reach=staged_reach) as http:
        for _ in range(2):
            with http.open("GET", "/end"):
                pass
    assert not any("cookie" in seen.headers for seen in public.seen)


@pytest.mark.parametrize(
    "location",
    [
        "http://{private}/end",
        "http://localhost:{port}/end",
        "//{private}/end",
        "http://127.1.2.3:{port}/end",
        "http://0.0.0.0:{port}/end",
        "http://[::1]:{port}/end",
        "http://[::ffff:127.0.0.1]:{port}/end",
        "http://[::ffff:7f00:1]:{port}/end",
        "http://[64:ff9b::7f00:1]:{port}/end",
        "http://[2002:7f00:1::]:{port}/end",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://user:secret@{elsewhere}/end",
        "file:///etc/passwd",
        "ftp://{elsewhere}/end",
        "gopher://{private}/",
        "data:text/plain,hello",
        "http://",
        "http://[::1",
        "http://{elsewhere}:99999/",
    ],
)
def test_P7_a_public_registry_leads_nobody_near_or_astray(
    public: HostileRegistry,
    elsewhere: HostileRegistry,
    private: HostileRegistry,
    location: str,
) -> None:
    port = private.host.rpartition(":")[2]
    target = location.format(private=private.host, elsewhere=elsewhere.host, port=port)
    leads_to(public, target)
    with pytest.raises(RegistryError) as caught:
        fetched(public.url)
    assert not caught.value.retryable
    assert private.seen == elsewhere.seen == []
    assert private.n_connections == 0


@pytest.mark.parametrize("name", ["cdn.example", "2130706433", "0x7f.1", "127.1"])
def test_P7_a_name_of_this_machine_is_looked_up_and_refused(
    public: HostileRegistry,
    private: HostileRegistry,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    # As the system's own lookup answers the last three.
    answer_names(monkeypatch, {name: ["127.0.0.1"]})
    port = private.host.rpartition(":")[2]
    leads_to(public, f"http://{name}:{port}/end")
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1"):
        fetched(public.url)
    assert private.n_connections == 0


def test_P7_a_name_that_changes_between_the_look_and_the_connection_gets_no_request(
    public: HostileRegistry,
    private: HostileRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_names(monkeypatch, {"cdn.example": ["127.0.0.3", "127.0.0.1"]})
    port = private.host.rpartition(":")[2]
    leads_to(public, f"http://cdn.example:{port}/end")
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1"):
        fetched(public.url)
    assert private.seen == []


def test_P7_a_connection_to_a_near_machine_is_not_shared_with_redirects(
    public: HostileRegistry, private: HostileRegistry
) -> None:
    with Http(public.url, keep_alive=True, reach=staged_reach) as http:
        leads_to(public, f"{private.url}/end")
        for _ in range(3):
            with pytest.raises(RegistryError), http.open("GET", "/start"):
                pass
    assert private.seen == []


def test_P7_a_registry_on_this_machine_may_lead_to_this_machine(
    private: HostileRegistry,
) -> None:
    with server("127.0.0.1") as neighbour:
        leads_to(private, f"{neighbour.url}/end")
        assert fetched(private.url) == b"here"
        assert leaked(neighbour) == []


def test_P7_a_registry_on_this_machine_may_lead_out(
    private: HostileRegistry, public: HostileRegistry
) -> None:
    leads_to(private, f"{public.url}/end")
    assert fetched(private.url) == b"here"


def test_P7_nobody_leads_to_the_metadata_service(private: HostileRegistry) -> None:
    leads_to(private, "http://169.254.169.254/latest/meta-data")
    with pytest.raises(RegistryError, match=r"169\.254"):
        fetched(private.url)


def test_P7_https_is_not_left() -> None:
    import httpx2

    from localkit.io.http import redirects

    with pytest.raises(RegistryError, match="leave encryption"):
        redirects.follow(httpx2.URL("https://a.example/x"), "http://a.example/y")
    up = redirects.follow(httpx2.URL("http://a.example/x"), "https://a.example/y#z")
    assert str(up) == "https://a.example/y"


def test_P7_a_redirect_shows_no_signed_address(public: HostileRegistry) -> None:
    leads_to(public, f"ftp://cdn.example/blob?signature={CANARY}")
    with pytest.raises(RegistryError) as caught:
        fetched(public.url)
    assert CANARY not in caught.value.one_line()


def test_P7_a_loop_ends_after_five_redirects(public: HostileRegistry) -> None:
    leads_to(public, "/start")
    with pytest.raises(RegistryError, match="more than 5 times"):
        fetched(public.url)
    assert len(public.seen) == 6


def test_P7_a_server_elsewhere_may_not_lead_back_in(
    public: HostileRegistry, elsewhere: HostileRegistry, private: HostileRegistry
) -> None:
    leads_to(public, f"{elsewhere.url}/next")
    elsewhere.answer("/next", Answer(307, {"Location": f"{private.url}/end"}))
    with pytest.raises(RegistryError):
        fetched(public.url)
    assert private.n_connections == 0


def answer_names(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> None:
    """Look names up in a table: each look takes the next address, the last stays."""
    real = socket.getaddrinfo

    def lookup(host: Any, *rest: Any, **options: Any) -> Any:
        addresses = names.get(host)
        if addresses is None:
            return real(host, *rest, **options)
        found = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        return real(found, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("127.0.0.1", Reach.LOOPBACK),
        ("::1", Reach.LOOPBACK),
        ("::ffff:127.0.0.1", Reach.LOOPBACK),
        ("10.1.2.3", Reach.PRIVATE),
        ("172.16.0.1", Reach.PRIVATE),
        ("192.168.0.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("fd00::1", Reach.PRIVATE),
        ("169.254.169.254", Reach.NEVER),
        ("::ffff:169.254.169.254", Reach.NEVER),
        ("64:ff9b::a9fe:a9fe", Reach.NEVER),
        ("fe80::1", Reach.NEVER),
        ("0.0.0.0", Reach.NEVER),
        ("::", Reach.NEVER),
        ("224.0.0.1", Reach.NEVER),
        ("240.0.0.1", Reach.NEVER),
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700::1111", Reach.PUBLIC),
    ],
)
def test_P7_addresses_are_told_apart(address: str, reach: Reach) -> None:
    assert reach_of(address) is reach
