"""L1: a password or token is in no log, error, traceback, progress or file of ours."""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import traceback
from typing import TYPE_CHECKING

import httpx2
import pytest
from pydantic import SecretStr

from localkit.config import settings
from localkit.errors import LocalkitError, RegistryError
from localkit.io.http import Pace
from localkit.io.http.failures import explained
from localkit.store import Store
from localkit.store.ref import ModelRef
from localkit.store.registry.auth import basic
from localkit.store.registry.client import Registry
from localkit.store.registry.credentials import Credential
from localkit.store.registry.pull import pull
from localkit.store.registry.push import push
from tests.fixtures.registry import MODEL_TYPE, Answer, HostileRegistry, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from localkit.events import Progress

PASSWORD = "canary-password-b7c1"
TOKEN = "canary-token-e09d"
PAIR = base64.b64encode(f"tester:{PASSWORD}".encode()).decode()
CANARIES = (PASSWORD, TOKEN, PAIR, PAIR.rstrip("="))
FAST = Pace(shortest_s=0.001, longest_s=0.002)


@pytest.fixture
def registry(tiny_gguf: Path) -> Iterator[HostileRegistry]:
    """Serve a model to who shows the token, which the password gets."""
    with HostileRegistry() as registry:
        registry.add_model(
            "library/x", "latest", [(MODEL_TYPE, tiny_gguf.read_bytes())]
        )
        registry.answer("/token", Answer(body=json.dumps({"token": TOKEN}).encode()))
        for method in ("GET", "HEAD", "POST", "PATCH", "PUT"):
            registry.answer("/v2/", lambda seen: door(registry, seen), method=method)
        yield registry


def door(registry: HostileRegistry, seen: Seen) -> Answer | None:
    if seen.headers.get("authorization") == f"Bearer {TOKEN}":
        return None
    realm = f'Bearer realm="{registry.url}/token",service="x"'
    return Answer(401, {"WWW-Authenticate": realm})


@pytest.fixture
def noise() -> Iterator[io.StringIO]:
    """Return what every logger says, the libraries' own at their loudest."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield stream
    root.setLevel(before)
    root.removeHandler(handler)


def client(registry: HostileRegistry, said: list[Progress]) -> Registry:
    person = Credential("password", "tester", SecretStr(PASSWORD), "the test")
    return Registry(
        registry.host,
        find=lambda _: person,
        pace=FAST,
        stall_s=0.5,
        document_s=1.0,
        on_progress=said.append,
    )


def test_L1_a_pull_and_a_push_leave_no_secret_anywhere(
    registry: HostileRegistry,
    noise: io.StringIO,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    said: list[Progress] = []
    store = Store(tmp_path / "store")
    ref = ModelRef.parse(f"{registry.host}/library/x")
    with client(registry, said) as one:
        receipt = pull(store.layout, ref, registry=one, on_progress=said.append)
        registry.blobs.clear()
        target = ModelRef.parse(f"{registry.host}/me/x:latest")
        sent = push(store.layout, ref, target, registry=one, on_progress=said.append)
        text = repr((one, receipt, sent, said))
    assert any(TOKEN in str(seen.headers) for seen in registry.seen)
    assert noise.getvalue()
    printed = capfd.readouterr()
    everything = [text, noise.getvalue(), printed.out, printed.err]
    everything += [
        path.read_bytes().decode("latin-1")
        for path in tmp_path.rglob("*")
        if path.is_file()
    ]
    assert [(c, t[:50]) for c in CANARIES for t in everything if c in t] == []


def refuse(registry: HostileRegistry) -> None:
    registry.answer("/manifests/", Answer(403, body=b"no"))


def hang_up(registry: HostileRegistry) -> None:
    registry.answer("/manifests/", Answer(body=b"{", length=100))


def stall(registry: HostileRegistry) -> None:
    registry.answer("/manifests/", Answer(body=b" " * 500, drip=0.02))


def speak_no_http(registry: HostileRegistry) -> None:
    registry.answer("/manifests/", Answer(headers={"Bad\x01Header": "x"}, body=b""))


def refuse_the_password(registry: HostileRegistry) -> None:
    registry.answer("/token", Answer(401, body=f"wrong: {PAIR[:3]}".encode()))


def lead_astray(registry: HostileRegistry) -> None:
    registry.answer("/manifests/", Answer(307, {"Location": "file:///etc"}))


def fall_over(registry: HostileRegistry) -> None:
    registry.answer("/token", Answer(500))


@pytest.mark.parametrize(
    "trouble",
    [
        refuse,
        hang_up,
        stall,
        speak_no_http,
        refuse_the_password,
        lead_astray,
        fall_over,
    ],
)
def test_L1_no_secret_is_in_an_error_or_its_traceback_with_locals(
    registry: HostileRegistry,
    noise: io.StringIO,
    tmp_path: Path,
    trouble: Callable[[HostileRegistry], None],
) -> None:
    said: list[Progress] = []
    ref = ModelRef.parse(f"{registry.host}/library/x")
    with client(registry, said) as one:
        # Known from here on, so that the trouble meets a request with a secret.
        pull(Store(tmp_path / "warm").layout, ref, registry=one)
        if trouble in {refuse_the_password, fall_over}:
            one._auth._known.clear()
        trouble(registry)
        with pytest.raises(LocalkitError) as caught:
            pull(Store(tmp_path / "cold").layout, ref, registry=one)
    text = "".join(
        traceback.TracebackException.from_exception(
            caught.value, capture_locals=True
        ).format()
    )
    assert "Error" in text
    for where in (text, caught.value.one_line(), noise.getvalue(), repr(said)):
        assert [canary for canary in CANARIES if canary in where] == []


def test_L1_the_frames_of_the_http_library_are_not_kept() -> None:
    def send(headers: list[str]) -> None:
        try:
            raise OSError(f"errno 32 after {len(headers)}")
        except OSError as error:
            raise httpx2.WriteError("broken pipe") from error

    with pytest.raises(RegistryError) as caught, explained("x"):
        send([f"authorization: Bearer {TOKEN}"])
    text = "".join(
        traceback.TracebackException.from_exception(
            caught.value, capture_locals=True
        ).format()
    )
    assert "broken pipe" in text
    assert TOKEN not in text


def test_L1_credentials_show_nothing_of_themselves() -> None:
    person = Credential("password", "tester", SecretStr(PASSWORD), "the test")
    for text in (repr(person), str(person), f"{person.secret}", repr(basic(person))):
        assert [canary for canary in CANARIES if canary in text] == []
    with pytest.raises(TypeError):
        json.dumps(person.secret)  # type: ignore[unused-ignore]


def test_L1_the_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALKIT_REGISTRY_TOKEN", TOKEN)
    monkeypatch.setenv("LOCALKIT_REGISTRY_PASSWORD", PASSWORD)
    ours = settings()
    assert ours.registry_token is not None
    assert ours.registry_token.get_secret_value() == TOKEN
    for text in (repr(ours), str(ours), ours.model_dump_json(), str(ours.model_dump())):
        assert [canary for canary in CANARIES if canary in text] == []
    assert pickle.loads(pickle.dumps(ours)) == ours
