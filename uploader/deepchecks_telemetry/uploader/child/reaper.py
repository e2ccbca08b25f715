"""Which process would reap the uploader when it has ended: it must not be the host, nor one that never reaps.

The uploader is orphaned when it starts, and the kernel gives an orphan to the nearest ancestor that is a subreaper, or
else to process 1. A host that is either would find a process that it did not start in `os.wait()`, or keep a zombie. In
a container process 1 is often an application that waits for its own children only.
"""

import os
import sys

from deepchecks_telemetry.spool.errors import raise_if_hosts

PR_GET_CHILD_SUBREAPER = 37  # linux/prctl.h
MACHINE_PIDS = "pid:[4026531836]"  # the namespace outside all containers; PROC_PID_INIT_INO of linux/proc_ns.h
# The names in /proc/1/comm of programs that reap every process: init systems, containers' inits, and shells.
REAPERS = frozenset(
    "appinit ash bash busybox bwrap catatonit dash dinit docker-init dumb-init finit firejail ksh lxc-init my_init "
    "openrc-init pause podman-init procd runit runit-init runsvdir s6-svscan sh shepherd sinit supervisord tini "
    "tini-static zsh".split()
)
USUAL = ("init", "systemd", "(sd-stubinit", "(stub-init")  # WSL adds the distribution: init(Ubuntu)


def why_not_reaped() -> str | None:
    """Why nobody would reap the uploader, as a clause; None where somebody would."""
    if sys.platform != "win32" and os.getpid() == 1:
        return "this program is process 1 of its container and would have to reap the uploader"
    name = container_init()
    if name is not None and not reaps(name):
        return f"process 1 of this container ({name}) may not reap the uploader: start the container with an init"
    if sys.platform == "linux" and is_subreaper():
        return "this program adopts orphaned processes (PR_SET_CHILD_SUBREAPER) and would have to reap the uploader"
    return None


def reaps(name: str) -> bool:
    """Whether a process 1 of this name is known to reap every process that has ended."""
    return name in REAPERS or name.startswith(USUAL)


def container_init() -> str | None:
    """The name of process 1 in a container; None outside one, and where the system does not say."""
    try:
        if os.readlink("/proc/self/ns/pid") == MACHINE_PIDS:
            return None
        with open("/proc/1/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError as error:
        raise_if_hosts(error)
        return None


def is_subreaper() -> bool:
    """Whether the kernel gives the orphans among this process's descendants to it."""
    try:
        import ctypes  # 5 ms; loaded already where numpy is

        answer = ctypes.c_int(0)
        ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    except (
        ImportError,
        OSError,
        AttributeError,
        MemoryError,
    ) as error:  # a Python without libffi, a static libc, SELinux
        raise_if_hosts(error)
        return False
    return bool(answer.value)
