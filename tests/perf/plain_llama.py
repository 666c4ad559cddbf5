"""Answer prompts one after another with llama-cpp-python's `Llama`; a program.

Reads a line of JSON, prompts and then the number of tokens; writes a line with the
tokens generated and the seconds it took.
"""

from __future__ import annotations

import json
import sys
import time

from llama_cpp import Llama


def main(file: str, n_threads: int) -> None:
    llama = Llama(
        file,
        n_ctx=512,
        n_threads=n_threads,
        n_threads_batch=n_threads,
        n_gpu_layers=0,
        verbose=False,
    )
    print("ready", flush=True)
    for line in sys.stdin:
        *prompts, n_tokens = json.loads(line)
        start, n_generated = time.perf_counter(), 0
        for prompt in prompts:
            answer = llama.create_completion(prompt, max_tokens=n_tokens, temperature=0)
            n_generated += answer["usage"]["completion_tokens"]
        seconds = time.perf_counter() - start
        print(json.dumps([n_generated, seconds]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
