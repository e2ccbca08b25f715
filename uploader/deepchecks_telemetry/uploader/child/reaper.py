"""Checks which process would reap the uploader after its end: neither the host nor a process that never reaps may.

The uploader is orphaned when it starts, and the kernel gives an orphan to the nearest ancestor that is a subreaper, or
else to process 1. If that is the host, its `os.wait()` returns a process that it did not start, or a zombie remains. In
a container, process 1 is often an application that waits only for its own children.
"""

import os
import sys

from deepchecks_telemetry.spool.errors import raise_if_hosts

PR_GET_CHILD_SUBREAPER = 37  # linux/prctl.h
INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # of processes outside all containers; PROC_PID_INIT_INO in linux/proc_ns.h
# Names in /proc/1/comm of programs that reap every process: init systems, inits for containers, and shells.
REAPERS = frozenset(
    "appinit ash bash busybox bwrap catatonit dash dinit docker-init dumb-init finit firejail ksh lxc-init my_init "
    "openrc-init pause podman-init procd runit runit-init runsvdir s6-svscan sh shepherd sinit supervisord tini "
    "tini-static zsh".split()
)
INIT_PREFIXES = ("init", "systemd", "(sd-stubinit", "(stub-init")  # WSL adds the distribution: init(Ubuntu)


def why_not_reaped() -> str | None:
    """Why no suitable process would reap the uploader, as a clause; None if one would."""
    if sys.platform != "win32" and os.getpid() == 1:
        return "this program is process 1 of its container and would have to reap the uploader"
    name = container_init()
    if name is not None and not is_reaper(name):
        return f"process 1 of this container ({name}) may not reap the uploader: start the container with an init"
    if sys.platform == "linux" and is_subreaper():
        return "this program adopts orphaned processes (PR_SET_CHILD_SUBREAPER) and would have to reap the uploader"
    return None


def is_reaper(name: str) -> bool:
    """Whether a process 1 with this name is known to reap every process."""
    return name in REAPERS or name.startswith(INIT_PREFIXES)


def container_init() -> str | None:
    """The name of process 1 in a container; None outside a container, or if the system does not show it."""
    try:
        if os.readlink("/proc/self/ns/pid") == INITIAL_PID_NAMESPACE:
            return None
        with open("/proc/1/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError as error:
        raise_if_hosts(error)
        return None


def is_subreaper() -> bool:
    """Whether the kernel makes this process the parent of its orphaned descendants."""
    try:
        import ctypes  # 5 ms; already loaded if numpy is

        flag = ctypes.c_int(0)
        ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0)
    # Python without libffi, a static libc, SELinux.
    except (ImportError, OSError, AttributeError, MemoryError) as error:
        raise_if_hosts(error)
        return False
    return bool(flag.value)
