"""What the framework that a folder was made for computes; run in a child process.

Reads a JSON request from standard input, writes a JSON answer to standard output. A
process of its own, because PyTorch warns, starts threads and stays.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from localkit.config import child_environment

if TYPE_CHECKING:
    from pathlib import Path


def ask(folder: Path, what: str, texts: list[str], *, tmp: Path) -> dict[str, Any]:
    """Return what transformers computes: ``tokens`` and ``embed`` or ``logits``."""
    request = {"folder": str(folder), "what": what, "texts": texts}
    done = subprocess.run(
        [sys.executable, "-P", __file__],
        input=json.dumps(request).encode(),
        capture_output=True,
        env={**child_environment(hub_cache=tmp / "hub"), "PYTHONPATH": sys.path[0]},
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _main() -> None:
    # By name: where they are not installed, mypy has nothing to say about them.
    torch, hf = (import_module(name) for name in ("torch", "transformers"))
    torch.set_num_threads(1)
    request = json.load(sys.stdin)
    tokenizer = hf.AutoTokenizer.from_pretrained(request["folder"])
    embeds = request["what"] == "embed"
    kind = hf.AutoModel if embeds else hf.AutoModelForCausalLM
    model = kind.from_pretrained(request["folder"], dtype=torch.float32).eval()
    tokens, values = [], []
    with torch.inference_mode():
        for text in request["texts"]:
            encoded = tokenizer(text, return_tensors="pt")
            tokens.append(encoded["input_ids"][0].tolist())
            if embeds:
                # The recipe of the model's own card: mean over tokens, length 1.
                states = model(**encoded).last_hidden_state[0]
                vector = states.mean(dim=0)
                values.append((vector / vector.norm()).tolist())
            else:
                values.append(model(encoded["input_ids"]).logits[0].tolist())
    json.dump({"tokens": tokens, request["what"]: values}, sys.stdout)


if __name__ == "__main__":
    _main()
