from __future__ import annotations

import pytest

from localkit.config import settings
from localkit.errors import UsageError
from localkit.remote.address import Address, is_address, parse_address
from localkit.remote.keys import advice_for, key_for


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("m@http://box:11434", Address("m", "http://box:11434")),
        ("m@http://box/v1/", Address("m", "http://box", "/v1")),
        (
            "Qwen/Qwen3-8B@openai+https://host/proxy/v1",
            Address("Qwen/Qwen3-8B", "https://host", "/proxy/v1", "openai"),
        ),
        ("m:1b@ollama+http://[::1]:1", Address("m:1b", "http://[::1]:1", "", "ollama")),
        ("m@sha256:ab@http://box", Address("m@sha256:ab", "http://box")),
    ],
)
def test_an_address_says_model_server_and_dialect(text: str, address: Address) -> None:
    assert is_address(text)
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text", ["smollm2", "m@sha256:ab", "hf.co/a/b:c", "http://box"]
)
def test_a_ref_is_no_address(text: str) -> None:
    assert not is_address(text)
    with pytest.raises(UsageError):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "@http://box",
        " m@http://box",
        "m\n@http://box",
        "m@http://",
        "m@http://box:port",
        "m@http://box:99999",
        "m@http://box/v1?key=hunter2",
        "m@http://box/#x",
        "m@http://box/../admin",
        "m@http://bo x",
        "m@http://box/\r\nHost: evil",
        "m@gopher+http://box",
        "m@http://" + "a" * 3000,
    ],
)
def test_what_is_no_address_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("user", ["me:hunter2@", "hunter2@", ":hunter2@"])
def test_L1_a_password_in_a_url_is_refused_and_not_shown(user: str) -> None:
    with pytest.raises(UsageError, match="carries a user name") as caught:
        parse_address(f"m@http://{user}box")
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def set_keys(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


def test_L1_a_key_goes_to_no_stranger_and_not_in_the_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_keys(monkeypatch, LOCALKIT_API_KEY="ours", OPENAI_API_KEY="theirs")

    def shown_to(origin: str) -> str | None:
        key = key_for(origin)
        return None if key is None else key.get_secret_value()

    assert shown_to("https://host") == "ours"
    assert shown_to("http://127.0.0.1:8000") == "ours"
    assert shown_to("http://box:8000") is None
    assert "LOCALKIT_API_HOST=box:8000" in advice_for("http://box:8000")
    set_keys(monkeypatch, LOCALKIT_API_HOST="box:8000")
    assert shown_to("http://box:8000") == "ours"
    assert shown_to("http://box:9000") is None
    assert shown_to("https://host") is None
    assert shown_to("https://api.openai.com") == "theirs"
    assert shown_to("https://api.openai.com.evil.example") is None
    assert shown_to("http://api.openai.com") is None
    assert "ours" not in repr(settings())
    assert "theirs" not in repr(settings())
