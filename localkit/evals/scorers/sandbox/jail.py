"""A place of its own for code that nobody vouches for: Linux namespaces.

The child that runs the code comes through here first. It gets a file system that
holds Python and system libraries, read-only, and one small folder in memory; no
network; process numbers of its own, so that whatever it started ends with it; and
no privilege. The way is bubblewrap's (https://github.com/containers/bubblewrap).

This file runs before the code in the same process and takes nothing but the
standard library.
"""

from __future__ import annotations

import ctypes
import os
import platform
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

# linux/sched.h
_NEWNS, _NEWIPC, _NEWUSER = 0x00020000, 0x08000000, 0x10000000
_NEWPID, _NEWNET = 0x20000000, 0x40000000
_APART = _NEWNS | _NEWIPC | _NEWPID | _NEWNET
# sys/mount.h
_NOSUID, _NODEV, _BIND, _REC, _PRIVATE = 2, 4, 4096, 16384, 1 << 18
_DETACH = 2
# linux/mount.h: what `mount_setattr` sets
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
# sys/prctl.h
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION = 0x20080522
# asm/unistd.h; calls without a function of their own in the C library.
_MOUNT_SETATTR = 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_NOBODY = 65534
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
WORKPLACE = "/answer"
"""The only folder that can be written to; ``/tmp`` leads to it."""


def die_with_parent() -> None:
    """Let the system kill this process when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)


def enter(folder: str, *, disk_bytes: int, close: tuple[int, ...]) -> None:
    """Move to new namespaces; returns in a new process, which is shut in.

    The process that called waits until that one has ended, and ends the same way.

    Args:
        folder: Empty folder to put the new file system on; nothing is left there.
        disk_bytes: What may be written in all.
        close: Files that only the new process shall keep.

    Raises:
        OSError: the system does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    is_root = os.geteuid() == 0 and libc.unshare(_APART) == 0
    if not is_root:
        _become_mapped(libc)
    # The first process of the new numbers: when it ends, all the others are killed.
    _fork_and_wait(close)
    die_with_parent()
    _new_root(libc, folder, disk_bytes)
    _fork_and_wait(close)
    _drop(libc, is_root=is_root)


def _become_mapped(libc: Any) -> None:
    """Make namespaces as a user without privileges may: within a user namespace."""
    uid, gid = os.geteuid(), os.getegid()
    _check(libc.unshare(_APART | _NEWUSER), "unshare")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {gid} 1", encoding="ascii")


def _fork_and_wait(close: tuple[int, ...]) -> None:
    """Return in a new process; the old one ends as the new one does."""
    pid = os.fork()
    if not pid:
        return
    for number in close:
        os.close(number)
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _new_root(libc: Any, folder: str, disk_bytes: int) -> None:
    """Make ``folder`` the root of a file system with only what Python needs."""
    _mount(libc, None, "/", None, _REC | _PRIVATE)
    _mount(libc, "tmpfs", folder, "tmpfs", _NOSUID | _NODEV, "size=1m,mode=0755")
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    for path in (*_SYSTEM, *_SYSTEM_FILES, *sorted(map(os.path.realpath, prefixes))):
        _show(libc, path, folder + path)
    # A virtual environment reached through a link is looked for under that name.
    for path in sorted(prefixes):
        if os.path.realpath(path) != path and not os.path.lexists(folder + path):
            os.makedirs(os.path.dirname(folder + path), exist_ok=True)
            os.symlink(os.path.realpath(path), folder + path)
    for path in _DEVICES:
        _place(path, folder + path)
        _mount(libc, path, folder + path, None, _BIND)
    workplace = folder + WORKPLACE
    os.makedirs(workplace, exist_ok=True)
    usual = folder + "/tmp"  # noqa: S108 - of a file system that nobody else sees
    if not os.path.lexists(usual):  # a Python may be installed there
        os.symlink(WORKPLACE, usual)
    options = f"size={disk_bytes},nr_inodes=4096,mode=1777"
    _mount(libc, "tmpfs", workplace, "tmpfs", _NOSUID | _NODEV, options)
    _set_attributes(libc, folder, _ATTR_RDONLY, recursive=False)
    os.chdir(folder)
    _check(libc.syscall(_PIVOT_ROOT[platform.machine()], b".", b"."), "pivot_root")
    _check(libc.umount2(b".", _DETACH), "umount2")
    os.chdir(WORKPLACE)


def _show(libc: Any, path: str, target: str) -> None:
    """Let ``path`` be seen at ``target``, read-only."""
    if not os.path.lexists(path) or os.path.lexists(target):
        return
    if os.path.islink(path):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(os.readlink(path), target)
        return
    _place(path, target)
    _mount(libc, path, target, None, _BIND | _REC)
    attributes = _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV
    _set_attributes(libc, target, attributes, recursive=True)


def _place(path: str, target: str) -> None:
    """Make what a mount needs to be put on."""
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    Path(target).touch()


def _mount(
    libc: Any,
    source: str | None,
    target: str,
    kind: str | None,
    flags: int,
    options: str | None = None,
) -> None:
    given = (None if text is None else text.encode() for text in (source, target, kind))
    data = None if options is None else options.encode()
    _check(libc.mount(*given, ctypes.c_ulong(flags), data), f"mount {target}")


def _set_attributes(
    libc: Any, target: str, attributes: int, *, recursive: bool
) -> None:
    # struct mount_attr: what to set, what to clear, propagation, user namespace.
    struct = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    result = libc.syscall(
        _MOUNT_SETATTR,
        _AT_FDCWD,
        target.encode(),
        _AT_RECURSIVE if recursive else 0,
        ctypes.byref(struct),
        ctypes.c_size_t(ctypes.sizeof(struct)),
    )
    _check(result, f"mount_setattr {target}")


def _drop(libc: Any, *, is_root: bool) -> None:
    """Give up every privilege for good."""
    if is_root:
        become_nobody()
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(libc.capset(ctypes.byref(header), ctypes.byref(nothing)), "capset")
    _check(libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def become_nobody() -> None:
    """Change from root to a user that owns nothing and runs nothing else."""
    os.setgroups([])
    # Processes are counted by user: a number that nobody has gives a count of its own.
    drawn = 1_000_000_000 + secrets.randbelow(1_000_000_000)
    for number in (drawn, _NOBODY):
        try:
            os.setresgid(number, number, number)
            os.setresuid(number, number, number)
        except OSError:  # a container that has no such numbers
            continue
        return
    msg = "root cannot become another user"
    raise OSError(msg)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
