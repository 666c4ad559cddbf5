"""P6: a registry that sends us elsewhere with our password gets nothing."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from localkit.errors import RegistryError
from localkit.io.http import Pace
from localkit.store.ref import ModelRef
from localkit.store.registry.auth import parse_challenge
from localkit.store.registry.client import Registry
from localkit.store.registry.credentials import Credential
from localkit.store.registry.manifests import fetch_manifest
from tests.fixtures.registry import MODEL_TYPE, Answer, HostileRegistry, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-91c2e5"
PERSON = Credential("password", "tester", SecretStr(CANARY), "the test")
FAST = Pace(shortest_s=0.001, longest_s=0.002)


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    with HostileRegistry() as registry:
        registry.add_model("library/x", "latest", [(MODEL_TYPE, b"GGUF")])
        yield registry


@pytest.fixture
def thief() -> Iterator[HostileRegistry]:
    with HostileRegistry("127.0.0.2") as thief:
        thief.answer("", Answer(200, body=json.dumps({"token": "t"}).encode()))
        yield thief


def wants_token(registry: HostileRegistry, realm: str, **rest: str) -> None:
    """Make every manifest cost a token from ``realm``."""
    more = "".join(f',{name}="{value}"' for name, value in rest.items())
    refusal = Answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}"{more}'})

    def check(seen: Seen) -> Answer:
        if seen.headers.get("authorization") != "Bearer good":
            return refusal
        data = registry.manifests["library/x", "latest"]
        return Answer(200, body=data)

    registry.answer("/manifests/", check)


def client(
    registry: HostileRegistry,
    person: Credential | None = PERSON,
    realms: frozenset[str] = frozenset(),
) -> Registry:
    return Registry(
        registry.host, find=lambda _: person, realms=realms, pace=FAST, document_s=2.0
    )


def asked(registry: HostileRegistry, person: Credential | None = PERSON) -> None:
    with client(registry, person) as one:
        fetch_manifest(one, ModelRef.parse(f"{registry.host}/library/x"))


def secrets_at(server: HostileRegistry) -> list[str]:
    encoded = base64.b64encode(f"tester:{CANARY}".encode()).decode()
    text = json.dumps(
        [(seen.path, seen.headers, seen.body.decode()) for seen in server.seen]
    )
    return [secret for secret in (CANARY, encoded, "authorization") if secret in text]


@pytest.mark.parametrize(
    "realm",
    [
        "{thief}/token",
        "http://{thief_host}/token",
        "http://{registry_host}@{thief_host}/token",
        "http://{thief_host}#@{registry_host}/token",
        "http://{registry_address}:1/token",  # another port
        "https://{registry_host}/token",  # another scheme
        "//{thief_host}/token",
        "/token",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/token",
        "http://[::1]:1/token",
        "",
        "http://",
        "not an address",
    ],
)
def test_P6_a_realm_elsewhere_is_refused_and_sent_nothing(
    registry: HostileRegistry, thief: HostileRegistry, realm: str
) -> None:
    address = registry.host.partition(":")[0]
    realm = realm.format(
        thief=thief.url,
        thief_host=thief.host,
        registry_host=registry.host,
        registry_address=address,
    )
    wants_token(registry, realm)
    with pytest.raises(RegistryError, match="not known to be its own") as caught:
        asked(registry)
    assert caught.value.status == 401
    assert thief.seen == []
    assert secrets_at(registry) == []


def test_P6_a_realm_of_the_registry_itself_gets_the_password(
    registry: HostileRegistry,
) -> None:
    wants_token(registry, f"{registry.url}/token", service="here", scope="a b")
    registry.answer("/token", Answer(body=b'{"token":"good"}'))
    asked(registry)
    (request,) = registry.requests("/token")
    assert request.headers["authorization"].startswith("Basic ")
    assert request.path == "/token?service=here&scope=a+b"


def test_P6_an_anonymous_token_is_asked_for_without_authorization(
    registry: HostileRegistry,
) -> None:
    wants_token(registry, f"{registry.url}/token?a=b", service="here")
    registry.answer("/token", Answer(body=b'{"access_token":"good"}'))
    asked(registry, None)
    (request,) = registry.requests("/token")
    assert "authorization" not in request.headers
    scope = "repository%3Alibrary%2Fx%3Apull"
    assert request.path == f"/token?a=b&service=here&scope={scope}"


def test_P6_a_realm_on_the_allow_list_gets_the_password_and_only_there(
    registry: HostileRegistry,
) -> None:
    with HostileRegistry() as auth:
        auth.answer("/token", Answer(body=b'{"token":"good"}'))
        wants_token(registry, f"{auth.url}/token")
        with client(registry, realms=frozenset({auth.url})) as one:
            fetch_manifest(one, ModelRef.parse(f"{registry.host}/library/x"))
        assert secrets_at(auth) != []
    assert [seen.headers.get("authorization") for seen in registry.seen] == [
        None,
        "Bearer good",
    ]


def test_P6_a_realm_that_redirects_takes_the_password_nowhere(
    registry: HostileRegistry, thief: HostileRegistry
) -> None:
    wants_token(registry, f"{registry.url}/token")
    registry.answer("/token", Answer(307, {"Location": f"{thief.url}/token"}))
    with pytest.raises(RegistryError):
        asked(registry)
    assert secrets_at(thief) == []


def test_P6_an_identity_token_is_posted_to_the_realm_alone(
    registry: HostileRegistry,
) -> None:
    wants_token(registry, f"{registry.url}/token", service="here")
    registry.answer("/token", Answer(body=b'{"access_token":"good"}'), method="POST")
    person = Credential("identity token", "", SecretStr(CANARY), "the test")
    asked(registry, person)
    (request,) = registry.requests("/token")
    assert f"refresh_token={CANARY}".encode() in request.body


def test_P6_a_password_is_sent_to_who_asks_for_it_plainly(
    registry: HostileRegistry,
) -> None:
    def check(seen: Seen) -> Answer:
        if "authorization" not in seen.headers:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="anything"'})
        return Answer(body=registry.manifests["library/x", "latest"])

    registry.answer("/manifests/", check)
    asked(registry)
    assert len(registry.seen) == 2


def test_P6_a_refused_password_is_not_sent_again_and_again(
    registry: HostileRegistry,
) -> None:
    registry.answer("/manifests/", Answer(401, {"WWW-Authenticate": 'Basic realm="x"'}))
    with pytest.raises(RegistryError) as caught:
        asked(registry)
    assert caught.value.status == 401
    assert len(registry.seen) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"[]",
        b'{"token": 5}',
        b'{"token": "a\\r\\nX-Evil: 1"}',
        b'{"token": "\xc3\xa4"}',
        b"[" * 60_000,
    ],
)
def test_P6_an_answer_without_a_usable_token_is_refused(
    registry: HostileRegistry, answer: bytes
) -> None:
    wants_token(registry, f"{registry.url}/token")
    registry.answer("/token", Answer(body=answer))
    with pytest.raises(RegistryError):
        asked(registry)


def test_a_token_is_asked_for_once_and_again_when_its_time_is_over(
    registry: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localkit.store.registry import auth

    now = [1000.0]
    monkeypatch.setattr(auth, "time", type("Clock", (), {"monotonic": lambda: now[0]}))
    wants_token(registry, f"{registry.url}/token")
    registry.answer("/token", Answer(body=b'{"token":"good","expires_in":100}'))
    ref = ModelRef.parse(f"{registry.host}/library/x")
    with client(registry) as one:
        fetch_manifest(one, ref)
        fetch_manifest(one, ref)
        assert len(registry.requests("/token")) == 1
        now[0] += 95
        fetch_manifest(one, ref)
    assert len(registry.requests("/token")) == 2


@pytest.mark.parametrize(
    ("header", "scheme", "realm"),
    [
        ('Bearer realm="https://a",service="s",scope="x:pull"', "bearer", "https://a"),
        ("bearer realm=https://a/t, service=s", "bearer", "https://a/t"),
        ('Basic realm="r", Bearer realm="https://a"', "bearer", "https://a"),
        ('Basic realm="a, Bearer b"', "basic", "a, Bearer b"),
        ("Basic", "basic", ""),
    ],
)
def test_challenges_are_read(header: str, scheme: str, realm: str) -> None:
    challenge = parse_challenge(header)
    assert challenge is not None
    assert (challenge.scheme, challenge.realm) == (scheme, realm)


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x", "x" * 100_000])
def test_a_challenge_of_another_kind_is_none(header: str) -> None:
    assert parse_challenge(header) is None
