"""Change a store, and die by SIGKILL before a given step.

Run as ``dying_writer.py ROOT FILES_FOLDER STEP``; step 0 dies never and prints
how many steps there are. A step is one call that touches the disk, as the
interpreter's audit events report them: opening, renaming, linking, removing, …
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from localkit.store import Recipe, Store

_STEPS = frozenset(
    {
        "open",
        "os.chmod",
        "os.link",
        "os.listdir",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.scandir",
        "shutil.rmtree",
        "tempfile.mkdtemp",
        "fcntl.ioctl",
        "fcntl.flock",
    }
)


def change(store: Store, files: Path) -> None:
    """Add, replace, share, move in, vary, copy and remove."""
    store.add(files / "a.gguf", "m:one")
    store.add(files / "b.gguf", "m:one")
    store.add(files / "a.gguf", "m:two")
    with store.staging() as staged:
        staged.write_bytes((files / "c.gguf").read_bytes())
        store.adopt(staged, "m:three")
    store.create("m:four", Recipe(store.resolve("m:three"), system="Be brief."))
    store.create("m:four", Recipe(store.resolve("m:four"), params={"top_k": 1}))
    store.copy("m:four", "m:five")
    store.remove("m:two")


def main() -> None:
    """Count the steps of `change`, and die before the one asked for."""
    root, files, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    # Imports that wait for their first use would count as steps once only.
    change(Store(root / "warm-up"), files)
    n_steps = 0

    def count(event: str, _: tuple[object, ...]) -> None:
        nonlocal n_steps
        if event in _STEPS:
            n_steps += 1
            if n_steps == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    change(Store(root / "models"), files)
    sys.stdout.write(str(n_steps))


if __name__ == "__main__":
    main()
