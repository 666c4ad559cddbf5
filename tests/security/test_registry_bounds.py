"""P8: a registry that never stops sending costs neither memory nor patience."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Cancelled, LocalkitError, ManifestInvalid, RegistryError
from localkit.events import CancelToken
from localkit.io.http import Deadline, Http, Pace, read_document
from localkit.store.ref import ModelRef
from localkit.store.registry.client import Registry
from localkit.store.registry.manifests import fetch_manifest
from tests.fixtures.registry import MODEL_TYPE, Answer, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_S = 0.5
LIMIT = 16 << 20
FAST = Pace(shortest_s=0.001, longest_s=0.002)
REPOSITORY = Path(__file__).parents[2]

# Asks once for warmth, then for what is hostile; prints how much memory grew.
CHILD = """
import resource, sys
from localkit.errors import LocalkitError
from localkit.store.ref import ModelRef
from localkit.store.registry.client import Registry
from localkit.store.registry.manifests import fetch_manifest

host = sys.argv[1]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
with Registry(host, find=lambda _: None, document_s=10) as registry:
    fetch_manifest(registry, ModelRef.parse(f"{host}/library/good"))
    before = peak()
    try:
        fetch_manifest(registry, ModelRef.parse(f"{host}/library/bad"))
    except LocalkitError as error:
        print(peak() - before, type(error).__name__)
"""


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    with HostileRegistry() as registry:
        layer = [(MODEL_TYPE, b"GGUF")]
        registry.add_model("library/good", "latest", layer)
        registry.add_model("library/bad", "latest", layer)
        yield registry


def layers(n_layers: int) -> bytes:
    one = {"mediaType": MODEL_TYPE, "digest": f"sha256:{'0' * 64}", "size": 1}
    text = json.dumps({"schemaVersion": 2, "config": one, "layers": [one] * n_layers})
    return text.encode()


def endless() -> Iterator[bytes]:
    return itertools.repeat(b" " * (1 << 16))


BOMBS: dict[str, Callable[[HostileRegistry], Answer]] = {
    "endless manifest": lambda _: Answer(body=endless()),
    "endless error page": lambda _: Answer(500, {"Retry-After": "9999"}, endless()),
    "4 GiB declared": lambda _: Answer(body=endless(), length=4 << 30),
    "gzip bomb": lambda _: Answer(
        200, {"Content-Encoding": "gzip"}, gzip.compress(b"[" * (64 << 20))
    ),
    "gzip bomb that says nothing": lambda _: Answer(
        body=gzip.compress(b" " * (64 << 20))
    ),
    "brackets": lambda _: Answer(body=b"[" + b"[]," * (1 << 20) + b"[]]"),
    "pairs": lambda _: Answer(body=b"{" + b'"a":1,' * 600_000 + b'"b":1}'),
    "nesting": lambda _: Answer(body=b"[" * (4 << 20)),
    "numbers": lambda _: Answer(body=b"[" + b"1," * (2 << 20) + b"1]"),
    "20,000 layers": lambda _: Answer(body=layers(20_000)),
    "endless token": lambda registry: Answer(
        401, {"WWW-Authenticate": f'Bearer realm="{registry.url}/token"'}
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_P8_memory_stays_flat(registry: HostileRegistry, bomb: str) -> None:
    registry.answer("/library/bad/manifests/", BOMBS[bomb](registry))
    registry.answer("/token", Answer(body=endless()))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, registry.host],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    growth, error = done.stdout.split()
    assert error in {"RegistryError", "ManifestInvalid"}
    assert int(growth) < LIMIT


def asked(
    registry: HostileRegistry,
    name: str = "bad",
    *,
    pace: Pace = FAST,
    cancel: CancelToken | None = None,
) -> None:
    with Registry(
        registry.host,
        find=lambda _: None,
        pace=pace,
        document_s=DEADLINE_S,
        cancel=cancel,
    ) as one:
        fetch_manifest(one, ModelRef.parse(f"{registry.host}/library/{name}"))


def test_P8_no_more_than_the_cap_is_taken(registry: HostileRegistry) -> None:
    registry.answer("/manifests/", Answer(body=endless()))
    with pytest.raises(RegistryError, match="more than the 4 MiB"):
        asked(registry)
    # What the sockets hold on both sides comes on top.
    assert registry.bytes_sent < (4 << 20) + (12 << 20)


@pytest.mark.parametrize("n_layers", [129, 5000])
def test_P8_more_than_128_layers_are_refused(
    registry: HostileRegistry, n_layers: int
) -> None:
    registry.answer("/manifests/", Answer(body=layers(n_layers)))
    with pytest.raises(ManifestInvalid, match="more than 128"):
        asked(registry)


def test_P8_128_layers_are_fine(registry: HostileRegistry) -> None:
    registry.answer("/manifests/", Answer(body=layers(128)))
    asked(registry)


def test_P8_a_reply_that_drips_ends_at_the_deadline(registry: HostileRegistry) -> None:
    # A byte each 20 ms keeps every read timeout content, head and body alike.
    registry.answer("/manifests/", Answer(body=b" " * 1000, drip=0.02))
    start = time.monotonic()
    with pytest.raises(RegistryError, match=r"longer than 0\.5 s") as caught:
        asked(registry)
    assert time.monotonic() - start < 4 * DEADLINE_S
    assert not caught.value.retryable
    assert len(registry.seen) == 1


def test_P8_a_reply_that_drips_on_a_used_connection_ends_too(
    registry: HostileRegistry,
) -> None:
    with Http(registry.url, keep_alive=True) as http:
        for _ in range(2):
            read_document(http, "GET", "/v2/library/bad/manifests/latest", limit=9999)
        registry.answer("/manifests/", Answer(body=b" " * 1000, drip=0.02))
        start = time.monotonic()
        with pytest.raises(RegistryError, match=r"longer than 0\.5 s"):
            read_document(
                http,
                "GET",
                "/v2/library/bad/manifests/latest",
                limit=9999,
                deadline=Deadline(DEADLINE_S),
            )
    assert time.monotonic() - start < 4 * DEADLINE_S
    assert registry.n_connections == 1


def test_P8_a_token_that_drips_ends_too(
    registry: HostileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localkit.io.http import document

    monkeypatch.setattr(document, "DOCUMENT_S", DEADLINE_S)
    registry.answer("/library/bad/manifests/", BOMBS["endless token"](registry))
    registry.answer("/token", Answer(body=b" " * 1000, drip=0.02))
    start = time.monotonic()
    with pytest.raises(RegistryError, match=r"longer than 0\.5 s"):
        asked(registry)
    assert time.monotonic() - start < 4 * DEADLINE_S


def test_P8_a_server_that_says_nothing_ends_at_the_deadline(
    registry: HostileRegistry,
) -> None:
    registry.answer("/manifests/", Answer(body=b"{}", drip=60))
    start = time.monotonic()
    with pytest.raises(RegistryError):
        asked(registry)
    assert time.monotonic() - start < 4 * DEADLINE_S


def test_P9_a_cancelled_request_ends_within_a_second(registry: HostileRegistry) -> None:
    cancel = CancelToken()

    def stop(_: object) -> Answer:
        cancel.cancel()
        return Answer(body=b" " * 1000, drip=0.02)

    registry.answer("/manifests/", stop)
    start = time.monotonic()
    with (
        Registry(registry.host, find=lambda _: None, cancel=cancel) as one,
        pytest.raises(Cancelled),
    ):
        fetch_manifest(one, ModelRef.parse(f"{registry.host}/library/bad"))
    assert time.monotonic() - start < 1.0


def test_P8_deep_or_odd_errors_are_shown_short_and_escaped(
    registry: HostileRegistry,
) -> None:
    for body in (
        b"\x1b[2J\x1b]0;owned\x07" + b"A" * 5000,
        json.dumps({"errors": [{"message": "\x1b[31m" + "A" * 5000}]}).encode(),
        "\u202eevil\u200b".encode(),
        b"[" * 10_000,
        b"\xff\xfe\x00",
        b'{"errors":[7]}',
        b'{"errors":{"a":1}}',
    ):
        registry.answer("/manifests/", Answer(403, body=body))
        with pytest.raises(LocalkitError) as caught:
            asked(registry)
        text = str(caught.value)
        assert len(text) < 400
        assert text.isprintable()
