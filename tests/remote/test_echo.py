"""Whether what a server says of a prompt can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import RemoteError
from localkit.gguf import read_info
from localkit.remote.echo import why_not
from localkit.remote.model import open_model
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams
from tests.fixtures.gguf import write_tiny_llama
from tests.remote.echoing import SEED, Fault, completions
from tests.remote.server import Reply, ollama_server, openai_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.runtime.protocol import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    path = write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf", seed=SEED)
    session = LlamaRuntime().load(read_info(path), LoadParams(n_ctx=256))
    yield session
    session.close()


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("", ""),
        ("counts a BOS", ""),
        ("ignores echo", "does not echo"),
        ("nothing", "does not echo"),
        ("off by one", "when it echoes it"),
    ],
)
def test_E8_a_server_is_believed_once_it_agrees_with_itself(
    session: Session, fault: Fault, why: str
) -> None:
    with (
        openai_server(completions=completions(session, fault)) as server,
        open_model(f"m@{server.url}/v1") as model,
    ):
        said = why_not(model.speaks)
    assert (said == why) if not why else (why in said), said


def test_a_server_that_refuses_is_not_one_that_is_down() -> None:
    refuses = Reply({"error": {"message": "echo is not supported"}}, 400)
    with (
        openai_server(completions=refuses) as server,
        open_model(f"m@{server.url}/v1") as model,
    ):
        assert "echo is not supported" in why_not(model.speaks)
        server.rules["/v1/completions"] = Reply({"error": "x"}, 500)
        with pytest.raises(RemoteError):
            why_not(model.speaks)
    with ollama_server() as server, open_model(f"m@{server.url}") as model:
        assert (
            why_not(model.speaks) == "it does not echo a prompt with log-probabilities"
        )
