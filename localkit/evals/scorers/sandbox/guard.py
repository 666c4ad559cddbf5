"""What stands in for the jail where the system has no namespaces: an audit hook.

It refuses what harms by accident: processes, network, libraries, and changes to
files outside the folder. It is no wall: code that means to get around it can.
See `jail`, which takes nothing but the standard library either.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

_REFUSED = (
    "ctypes.dlsym",
    "ftplib.",
    "http.client.",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.",
    "resource.",
    "signal.pthread_kill",
    "smtplib.",
    "socket.",
    "subprocess.",
    "syslog.",
    "urllib.",
    "webbrowser.",
)
# Each with the number of paths and the places of folders that they count from.
_CHANGES = {
    "os.chflags": (1, ()),
    "os.chmod": (1, (2,)),
    "os.chown": (1, (3,)),
    "os.link": (2, (2, 3)),
    "os.mkdir": (1, (2,)),
    "os.remove": (1, (1,)),
    "os.removexattr": (1, ()),
    "os.rename": (2, (2, 3)),
    "os.rmdir": (1, (1,)),
    "os.setxattr": (1, ()),
    "os.symlink": (2, (2,)),
    "os.truncate": (1, ()),
    "os.utime": (1, (3,)),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def install(folder: str) -> None:
    """Refuse from now on, and for good, what only harms.

    ``folder`` is the one that may be written to.
    """
    inside = os.path.realpath(folder) + os.sep
    real, decode, null = os.path.realpath, os.fsdecode, os.devnull
    refused, changes = _REFUSED, _CHANGES
    # A folder held open cannot be told from its number, so nothing may be changed
    # relative to one: `rmtree` would otherwise remove names that look like ours.
    vars(shutil)["_use_fd_functions"] = False

    def is_inside(path: Any) -> bool:
        if isinstance(path, int):
            return False
        text = decode(path)
        return text == null or real(text).startswith(inside)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith(refused):
            raise PermissionError(f"{event} is refused here")
        if event == "ctypes.dlopen" and args[0] is not None:
            raise PermissionError(f"loading {args[0]} is refused here")
        if event == "open":
            path, mode, flags = args
            if not flags & _WRITING or isinstance(path, int):
                return
            # `os.open` has no mode, and may count from a folder held open.
            is_bare = mode is None and not os.path.isabs(decode(path))
            if is_bare or not is_inside(path):
                raise PermissionError(f"writing to {path} is refused here")
        elif event in changes:
            n_paths, from_folders = changes[event]
            relative = any(args[place] != -1 for place in from_folders)
            if relative or not all(map(is_inside, args[:n_paths])):
                raise PermissionError(f"{event} of {args[0]} is refused here")

    sys.addaudithook(hook)
