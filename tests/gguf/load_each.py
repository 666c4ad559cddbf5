"""Load every file of a folder in a process of its own; print how each ended.

Run as a script by a test: what aborts here must not take the tests along.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path

import llama_cpp

N_CTX = 64
MOST_MEMORY = 6 << 30
MOST_SECONDS = 20


def load_and_decode(path: Path) -> int:
    """Load, decode a few tokens, and turn every token into text."""
    model = llama_cpp.llama_model_load_from_file(
        str(path).encode(), llama_cpp.llama_model_default_params()
    )
    if not model:
        return 1
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = N_CTX
    params.n_seq_max = 4
    params.kv_unified = True
    params.swa_full = False
    params.n_threads = params.n_threads_batch = 1
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        return 2
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    tokens = (llama_cpp.llama_token * N_CTX)()
    text = b"hello \xc3\xa9 world"
    n = llama_cpp.llama_tokenize(vocabulary, text, len(text), tokens, N_CTX, True, True)
    if n <= 0 or llama_cpp.llama_decode(
        context, llama_cpp.llama_batch_get_one(tokens, n)
    ):
        return 3
    piece = ctypes.create_string_buffer(64)
    for token in range(llama_cpp.llama_vocab_n_tokens(vocabulary)):
        llama_cpp.llama_token_to_piece(vocabulary, token, piece, 64, 0, True)
    return 0


def in_a_child(path: Path) -> int:
    """Return the exit status of a child that loads ``path``; negative: a signal."""
    child = os.fork()
    if child == 0:
        signal.alarm(MOST_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os._exit(load_and_decode(path))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    ends = {path.stem: in_a_child(path) for path in sorted(folder.glob("*.gguf"))}
    sys.stdout.write(json.dumps(ends))
