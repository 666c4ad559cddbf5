"""The child that runs code which a model wrote, and then the tests.

Started as a script, isolated, with three files: what to run, where to say how it
went, and two secrets to read. The first is shown when the child is shut in and
ready, the second when the last test has passed. Printing, ending the process or a
test that is never reached shows neither. It takes nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import CodeType, ModuleType
from typing import Any

SECRET_BYTES = 32
_MAX_WHY = 300


def main() -> None:
    """Run what the first file says; ends the process."""
    request_fd, result_fd, secrets_fd = map(int, sys.argv[1:4])
    with os.fdopen(request_fd, encoding="utf-8") as file:
        request: dict[str, Any] = json.load(file)
    sys.argv = ["answer"]
    jail = _sibling("jail")
    jail.die_with_parent()
    try:
        if request["jail"]:
            jail.enter(
                request["folder"],
                disk_bytes=request["file_bytes"] * 4,
                close=(result_fd, secrets_fd),
            )
        elif os.geteuid() == 0:
            _leave_root(jail, request["folder"])
            jail.die_with_parent()  # a new user is a new wish
        _limit(request)
        tests = compile(request["tests"], "<tests>", "exec", dont_inherit=True)
        if not request["jail"]:
            _sibling("guard").install(request["folder"])
    except BaseException as error:
        _say(result_fd, f"{type(error).__name__}: {error}")
        os._exit(1)
    _run(request["code"], tests, result_fd, secrets_fd)


def _run(code: str, tests: CodeType, result_fd: int, secrets_fd: int) -> None:
    """Run code and tests; say the second secret if none of them objects."""
    # Code may put others in their place: what is needed afterwards is taken now.
    read, write, leave, run, say = os.read, os.write, os._exit, exec, _say
    system_exit = SystemExit
    module = ModuleType("answer")
    sys.modules["answer"] = sys.modules["__main__"] = module
    write(result_fd, read(secrets_fd, SECRET_BYTES))
    try:
        run(compile(code, "<answer>", "exec", dont_inherit=True), vars(module))
        run(tests, vars(module))
    except system_exit:
        say(result_fd, "the code ended the process before the tests were through")
        leave(1)
    except BaseException as error:
        try:
            why = f"{type(error).__name__}: {error}"
        except BaseException:
            why = "an exception that cannot be shown"
        say(result_fd, why)
        leave(1)
    write(result_fd, read(secrets_fd, SECRET_BYTES))
    leave(0)


def _say(result_fd: int, why: str) -> None:
    os.write(result_fd, why[:_MAX_WHY].encode(errors="replace"))


def _limit(request: dict[str, Any]) -> None:
    """Limit this process for good; what it starts has the same limits."""
    import resource  # there is none on Windows, where this file is only read

    limits = {
        resource.RLIMIT_CPU: request["cpu_s"],
        resource.RLIMIT_FSIZE: request["file_bytes"],
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        # Counted by user: without a namespace others of the user's count as well,
        # so there it is none at all.
        resource.RLIMIT_NPROC: request["n_processes"] if request["jail"] else 0,
        resource.RLIMIT_AS: request["memory_bytes"],
    }
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (least, least))
        except ValueError:  # macOS knows RLIMIT_AS and refuses to set it
            if sys.platform == "linux":
                raise


def _leave_root(jail: ModuleType, folder: str) -> None:
    """Become a user who owns nothing, if Python can still be read then."""
    os.chmod(folder, 0o777)  # noqa: S103 - it is empty, and removed afterwards
    os.seteuid(65534)
    try:
        for path in (json.__file__, __file__):
            with open(path, encoding="utf-8"):
                pass
        readable = True
    except OSError:
        readable = False
    finally:
        os.seteuid(0)
    if readable:
        jail.become_nobody()


def _sibling(name: str) -> ModuleType:
    """Return the file ``name`` beside this one, loaded without a search path."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = spec_from_file_location(f"_localkit_{name}", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018, S101 - a file
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
