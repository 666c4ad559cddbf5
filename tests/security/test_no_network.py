"""L2, P5: what works on local models asks nobody for anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fixtures.gguf import write_tiny_llama

_REPOSITORY = Path(__file__).parents[2]

# An audit hook sees what C code does through Python's sockets too, and cannot be
# taken away again. The engine runs in this process and in its children.
_LISTENING = """
import json, sys
seen = []
def hook(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto",
                 "socket.sendmsg", "socket.gethostbyname", "urllib.Request"}:
        if not (event == "socket.connect" and isinstance(arguments[1], str)):
            seen.append([event, repr(arguments[1:])])
sys.addaudithook(hook)
from click.testing import CliRunner
from localkit.cli import main
for words in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, (words, result.output, result.exception)
print(json.dumps(seen))
"""


def test_P5_L2_no_command_on_local_models_opens_a_connection(tmp_path: Path) -> None:
    file = write_tiny_llama(tmp_path / "tiny.gguf")
    commands = [
        ["list"],
        ["add", str(file), "tiny:f16"],
        ["list"],
        ["ls", "t"],
        ["show", "tiny"],
        ["du"],
        ["lock"],
        ["lock", "--check"],
        ["run", "tiny", "hello", "--max-tokens", "2", "--n-ctx", "256"],
        ["ps"],
        ["unload"],
        ["quantize", "tiny", "Q8_0"],
        ["verify"],
        ["info"],
        ["prune"],
        ["rm", "tiny:f16"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", _LISTENING, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "HTTPS_PROXY": "http://proxy.invalid:1",
            "HF_HUB_OFFLINE": "0",
            "LOCALKIT_HOME": str(tmp_path / "home"),
            "PYTHONPATH": str(_REPOSITORY),
        },
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_P5_L2_the_listener_hears_a_connection() -> None:
    code = (
        "import json, socket, sys\n"
        + _LISTENING.partition("from click")[0]
        + "try: socket.create_connection(('127.0.0.1', 9), 0.1)\n"
        "except OSError: pass\n"
        "print(len(seen))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) >= 1
