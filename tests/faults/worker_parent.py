"""Load a model in a worker, say the worker's process id, then wait to be killed.

With ``fork``, a forked child that outlives us holds our ends of the pipes too.
With ``thread``, a thread that ends loads the model.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from localkit.gguf import read_info
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.params import LoadParams, SamplingParams

loaded = []


def load() -> None:
    """Load the model that the first argument names."""
    info = read_info(Path(sys.argv[1]))
    loaded.append(IsolatedRuntime().load(info, LoadParams(n_ctx=256, n_threads=1)))


if __name__ == "__main__":
    if sys.argv[2] == "thread":
        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
        time.sleep(0.5)  # were the worker bound to that thread, it would be gone
        loaded[0].stream([5], SamplingParams(max_tokens=2)).wait()
    else:
        load()
    if sys.argv[2] == "fork" and os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    sys.stdout.write(f"{loaded[0].pid}\n")
    sys.stdout.flush()
    time.sleep(60)
