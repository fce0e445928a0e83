"""The scheduler or a server of a job: ``python -m gluontricks.server``.

``gluontricks launch`` starts both, and says in the environment which of them a process is.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import sys
from typing import Any

from gluontricks.errors import GluontricksError, UsageError
from gluontricks.processes import DIST_SYNC, ROLE, WORKERS

ROLES = ("scheduler", "server")
NEEDED = ("DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT", "DMLC_NUM_SERVER", WORKERS)


def serve() -> None:
    """Do this process's part of a job until its workers have left.

    A server adds up what all workers push and gives them the sum. It keeps no optimizer and
    takes no command: MXNet's own unpickles whatever comes to its port.

    Raises
    ------
    UsageError
        If the environment does not say which part that is.
    """
    role = os.environ.get(ROLE)
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if role not in ROLES or missing:
        raise UsageError(
            f"{ROLE} is '{role}'" if role not in ROLES else f"{missing[0]} is not set",
            "start the job with 'gluontricks launch -n 2 -- COMMAND'",
        )
    # With a role in the environment the import alone would run MXNet's own server.
    del os.environ[ROLE]
    from gluontricks.mxnet_shim import mx

    os.environ[ROLE] = role
    if role == "scheduler" and not is_address(os.environ["DMLC_PS_ROOT_URI"]):
        # It cannot listen at a name, but at all addresses, which this is MXNet's switch for.
        os.environ["DMLC_USE_KUBERNETES"] = "1"
    base, store = mx.base, mx.kv.create(DIST_SYNC)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    base.check_call(base._LIB.MXKVStoreRunServer(store.handle, kind(refuse), None))


def is_address(host: str) -> bool:
    """Return whether a host is given by its address, not by its name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def refuse(head: int, body: bytes, _: Any) -> None:
    """End this process, and so the job, at a command."""
    sys.stderr.write(
        f"error: a worker has sent the server the command {head} of {len(body)} bytes\n"
        "remedy: train with gluontricks; a Trainer of Gluon's needs MXNet's own server\n"
    )
    sys.stderr.flush()
    os._exit(UsageError.code)


def main() -> int:
    """Serve; return the exit code."""
    try:
        serve()
    except GluontricksError as error:
        sys.stderr.write(f"error: {error.cause}\nremedy: {error.remedy}\n")
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
