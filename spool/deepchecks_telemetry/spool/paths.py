"""Every path of ours is held by one value, `Home`; making it touches no disk."""

import os
from collections.abc import Mapping
from typing import NamedTuple

APP = "deepchecks"
DIR_VARIABLE = "DEEPCHECKS_TELEMETRY_DIR"


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
    def policy_mode(self) -> str:
        """The administrator's word on the mode."""
        return os.path.join(self.policy, "mode")


def find_home(environ: Mapping[str, str] = os.environ) -> Home:
    """The folders of this user, or all under ``DEEPCHECKS_TELEMETRY_DIR``; the policy is the machine's in any case."""
    root = environ.get(DIR_VARIABLE)
    # 16 ms in a bare interpreter, so even here it is loaded only when it is asked.
    import platformdirs

    policy = _find_policy(platformdirs.site_config_dir(APP, appauthor=False, multipath=True))
    if root:
        root = os.path.abspath(root)
        return Home(os.path.join(root, "state"), os.path.join(root, "config"), policy)
    return Home(
        os.path.join(platformdirs.user_state_dir(APP, appauthor=False), "telemetry"),
        os.path.join(platformdirs.user_config_dir(APP, appauthor=False), "telemetry"),
        policy,
    )


def _find_policy(folders: str) -> str:
    """The first that exists: some desktops put a folder of their own before /etc/xdg, where administrators write."""
    candidates = [os.path.join(folder, "telemetry") for folder in folders.split(os.pathsep)]
    return next(filter(os.path.isdir, candidates), candidates[0])
