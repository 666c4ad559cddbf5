"""An engine that aborts on every file: the true one, but for its loader.

Put before the true one on the path of a child process, it stands for a crash that
no preflight knows yet.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parents[1]


def _abort(*_: Any) -> None:
    sys.stderr.write("ggml.c:1: GGML_ASSERT(nobody knows this one) failed\n")
    sys.stderr.flush()
    os.abort()


sys.path = [path for path in sys.path if Path(path) != _HERE]
del sys.modules["llama_cpp"]
_true: Any = importlib.import_module("llama_cpp")
_true.llama_model_load_from_file = _abort
