"""Every path of ours is held by one value, `Home`; making it touches no disk."""

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

from deepchecks_telemetry.spool.errors import Unusable

APP = "deepchecks"
DIR_VARIABLE = "DEEPCHECKS_TELEMETRY_DIR"
MACOS = ("Library/Application Support", "Library/Application Support", "/Library/Application Support")
USUAL = MACOS if sys.platform == "darwin" else (".local/state", ".config", "/etc/xdg")


class Home(NamedTuple):
    """Three folders: `state` (what is recorded), `config` (the user's choice), `policy` (the administrator's)."""

    state: str
    config: str
    policy: str

    @property
    def spool(self) -> str:
        """The SQLite database; its `-wal` and `-shm` stand beside it."""
        return os.path.join(self.state, "spool.db")

    @property
    def lock(self) -> str:
        """The file lock for everything structural."""
        return os.path.join(self.state, "spool.lock")

    @property
    def upload_lock(self) -> str:
        """The lock that elects the one uploader; the only one that is held across HTTP."""
        return os.path.join(self.state, "upload.lock")

    @property
    def mode(self) -> str:
        """The user's choice, one word; apart from the spool, so that it outlives a lost one."""
        return os.path.join(self.config, "mode")

    @property
    def watched(self) -> tuple[str, ...]:
        """Every file whose change can change whether events are recorded."""
        return self.mode, self.policy_mode

    @property
    def policy_mode(self) -> str:
        """The administrator's word on the mode."""
        return os.path.join(self.policy, "mode")


def find_home(environ: Mapping[str, str] = os.environ) -> Home:
    """The folders of this user, or all under ``DEEPCHECKS_TELEMETRY_DIR``; the policy is the machine's in any case.

    Raises `Unusable` where the system knows no home folder of this user.
    """
    state, config, site = _ask_platformdirs() if sys.platform == "win32" else _xdg(environ, *USUAL)
    policy = find_policy(site)
    root = environ.get(DIR_VARIABLE)
    if root:
        root = os.path.abspath(os.path.expanduser(root))  # a Dockerfile or a unit file expands no ~
        return Home(os.path.join(root, "state"), os.path.join(root, "config"), policy)
    return Home(os.path.join(state, APP, "telemetry"), os.path.join(config, APP, "telemetry"), policy)


def _ask_platformdirs() -> tuple[str, str, list[str]]:
    """The bases of state and configuration, and the machine's for configuration: only Windows itself knows them."""
    import platformdirs

    roots = platformdirs.PlatformDirs(appauthor=False)
    return roots.user_state_dir, roots.user_config_dir, [roots.site_config_dir]


def _xdg(environ: Mapping[str, str], state: str, config: str, site: str) -> tuple[str, str, list[str]]:
    """The same by the XDG Base Directory Specification, which takes a relative path for none.

    By hand: importing platformdirs would be half of what a short process pays for us (9 of 20 ms), and its answers have
    changed between versions, while all virtual environments of a user must find the same spool and the same choice.
    """
    named = [environ.get("XDG_STATE_HOME", ""), environ.get("XDG_CONFIG_HOME", "")]
    if not all(map(os.path.isabs, named)):
        home = environ.get("HOME", "")
        home = home if os.path.isabs(home) else _registered_home()
        usual = os.path.join(home, state), os.path.join(home, config)
        named = [path if os.path.isabs(path) else default for path, default in zip(named, usual, strict=True)]
    folders = environ.get("XDG_CONFIG_DIRS", "").split(os.pathsep)
    # The machine's own first: a variable must not take away what its administrator decided.
    return named[0], named[1], [site, *filter(os.path.isabs, folders)]


def _registered_home() -> str:
    if sys.platform != "win32":
        import pwd

        try:
            return pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            pass  # a container that runs under a number without a name
    raise Unusable("this user has no home folder")


def find_policy(site: list[str]) -> str:
    """The first that exists."""
    candidates = [os.path.join(folder, APP, "telemetry") for folder in site]
    return next(filter(os.path.isdir, candidates), candidates[-1])
