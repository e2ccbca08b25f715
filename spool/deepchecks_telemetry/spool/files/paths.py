"""`Home` holds all paths of one user; finding it creates nothing on disk."""

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

from deepchecks_telemetry.spool.errors import Unusable, raise_if_hosts
from deepchecks_telemetry.spool.files import windows
from deepchecks_telemetry.spool.files.regular import exists

APP = "deepchecks"
SPOOL = "spool.db"
REPLACED = "-replaced"  # suffix of an empty file beside a spool that is not used any more
DIR_VARIABLE = "DEEPCHECKS_TELEMETRY_DIR"
MACOS = ("Library/Application Support", "Library/Application Support", "/Library/Application Support")
USUAL = MACOS if sys.platform == "darwin" else (".local/state", ".config", "/etc/xdg")


class Home(NamedTuple):
    """Three directories: `state` (what is recorded), `config` (the user's choice), `policy` (the administrator's).

    `default` holds the directories that this user has without any variable, by the user database. It is None if they
    are the same, or if the user has no entry there. A choice of `off` or `local` in them applies in any case.
    """

    state: str
    config: str
    policy: str
    default: "Home | None" = None

    @property
    def with_default(self) -> "tuple[Home, ...]":
        """These directories, then the default ones if they are different."""
        return (self,) if self.default is None else (self, self.default)

    @property
    def watched(self) -> tuple[str, ...]:
        """The files on which the decision depends: the choices, and the administrator's policy."""
        return (*(home.mode for home in self.with_default), self.policy_mode)

    @property
    def spool(self) -> str:
        """The SQLite database; its `-wal` and `-shm` files are beside it."""
        return self.spools[-1]

    @property
    def spools(self) -> tuple[str, ...]:
        """The spool in use, and before it those that were replaced (`files/quarantine.py`; only on Windows)."""
        first = os.path.join(self.state, SPOOL)
        paths = [first]
        while sys.platform == "win32" and exists(paths[-1] + REPLACED):
            paths.append(f"{first}{len(paths) + 1}")  # spool.db2, spool.db3 …
        return tuple(paths)

    @property
    def lock(self) -> str:
        """The file lock around changes to the spool's files."""
        return os.path.join(self.state, "spool.lock")

    @property
    def upload_lock(self) -> str:
        """The lock that allows one uploader at a time; the only lock that is held across HTTP."""
        return os.path.join(self.state, "upload.lock")

    @property
    def mode(self) -> str:
        """The user's choice, one word; outside the state directory, so that it survives the loss of the spool."""
        return os.path.join(self.config, "mode")

    @property
    def policy_mode(self) -> str:
        """The administrator's mode."""
        return os.path.join(self.policy, "mode")


def find_home(environ: Mapping[str, str] = os.environ) -> Home:
    """The directories of this user, or those under ``DEEPCHECKS_TELEMETRY_DIR``; the policy is always the machine's.

    Raises `Unusable` if this user has no home directory.
    """
    policy = find_policy(_policy_directories(environ))
    home, default = _from_environ(environ, policy), find_default(policy)
    return home if default is None or default == home else home._replace(default=default)


def _from_environ(environ: Mapping[str, str], policy: str) -> Home:
    root = environ.get(DIR_VARIABLE)
    if root:
        root = os.path.abspath(os.path.expanduser(root))  # a Dockerfile and a unit file do not expand ~
        return Home(os.path.join(root, "state"), os.path.join(root, "config"), policy)
    return _windows(policy) if sys.platform == "win32" else _below(*_xdg(environ), policy)


def _below(state: str, config: str, policy: str) -> Home:
    return Home(os.path.join(state, APP, "telemetry"), os.path.join(config, APP, "telemetry"), policy)


def find_default(policy: str) -> Home | None:
    """The directories that no variable moves, so that `off` also applies to a program with other variables."""
    if sys.platform == "win32":
        return _windows(policy)
    else:  # noqa: RET505 - mypy takes what follows a check of the platform as unreachable
        home = registered_home()
        return _below(os.path.join(home, USUAL[0]), os.path.join(home, USUAL[1]), policy) if home else None


def _windows(policy: str) -> Home:
    """Two directories in one, because Windows has the same base for state and configuration."""
    base = os.path.join(windows.find_folder(windows.LOCAL_APPDATA), APP, "telemetry")
    return Home(os.path.join(base, "state"), os.path.join(base, "config"), policy)


def _xdg(environ: Mapping[str, str]) -> tuple[str, str]:
    """The bases of state and configuration by the XDG Base Directory Specification, which ignores relative paths.

    Without platformdirs, because importing it would be half of our cost in a short process (9 of 20 ms), and its paths
    have changed between versions, while all virtual environments of a user must find the same spool and choice.
    """
    state, config = environ.get("XDG_STATE_HOME", ""), environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(state) and os.path.isabs(config):
        return state, config
    home = environ.get("HOME", "")
    usual = home if os.path.isabs(home) else registered_home()
    if usual is None:
        raise Unusable("this user has no home directory")
    return (
        state if os.path.isabs(state) else os.path.join(usual, USUAL[0]),
        config if os.path.isabs(config) else os.path.join(usual, USUAL[1]),
    )


def registered_home() -> str | None:
    """The home directory by the user database (`/etc/passwd` or a directory service), ignoring HOME; None if missing.

    Takes some 30 µs, once in a process; a directory service is only queried if the user is not in the file.
    """
    home = ""
    if sys.platform != "win32":
        import pwd

        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            pass  # a container that runs under a user id without a name
    return home if os.path.isabs(home) else None


def _policy_directories(environ: Mapping[str, str]) -> list[str]:
    # The machine's own is first, because a variable must not override the administrator.
    more = filter(os.path.isabs, environ.get("XDG_CONFIG_DIRS", "").split(os.pathsep))
    return [windows.find_folder(windows.COMMON_APPDATA)] if sys.platform == "win32" else [USUAL[2], *more]


def find_policy(directories: list[str]) -> str:
    """The first that exists, even if it cannot be entered (then its mode cannot be read, which means off)."""
    candidates = [os.path.join(directory, APP, "telemetry") for directory in directories]
    return next((directory for directory in candidates if not _is_missing(directory)), candidates[-1])


def _is_missing(directory: str) -> bool:
    try:
        os.stat(os.path.join(directory, ""))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        raise_if_hosts(error)
        # closed to this user, a loop of links, or too long: something exists, and it cannot be read
    return False


def without_variables(command: str) -> str:
    """The command line that runs `command` with the default directories: `env -u …`, on Windows by `cmd`."""
    if sys.platform == "win32":
        return f'cmd /c "set {DIR_VARIABLE}=& {command}"'
    else:  # noqa: RET505 - mypy takes what follows a check of the platform as unreachable
        moving = [name for name in (DIR_VARIABLE, "XDG_STATE_HOME", "XDG_CONFIG_HOME") if os.environ.get(name)]
        home = registered_home()
        moving += ["HOME"] if home and os.environ.get("HOME") != home else []
        return " ".join(["env", *(f"-u {name}" for name in moving), command])
