"""In each interpreter that a test starts, the user database has the test's home directory, or none, never the real one.

No variable of our package may change the result of the user database, so this module of the tests replaces it.
"""

import os
import sys
import types

VARIABLE = "TESTS_REGISTERED_HOME"

try:
    import pwd
except ImportError:  # Windows: the folders are those of the shell, below the test's user
    import platformdirs.windows

    def get_win_folder(csidl_name: str) -> str:
        """The folder of that name below the test's user, never the real one."""
        folder = os.environ.get(VARIABLE) or os.environ["USERPROFILE"]
        return os.path.join(folder, "AppData", csidl_name.removeprefix("CSIDL_").title())

    platformdirs.windows.get_win_folder = get_win_folder
    # Tests cannot write a policy as an administrator, and one of another user would not count.
    owner = types.ModuleType("deepchecks_telemetry.spool.files.administrators")
    sys.modules.setdefault(owner.__name__, owner).__dict__["is_administrators"] = bool  # pytest has loaded it
else:
    _real = pwd.getpwuid

    def getpwuid(user: int) -> pwd.struct_passwd:
        """The entry with the test's directory for this user id, or without a directory if the test has none."""
        folder = os.environ.get(VARIABLE)
        entry = list(_real(user))
        entry[5] = os.path.join(folder, str(user)) if folder else ""
        return pwd.struct_passwd(entry)

    pwd.getpwuid = getpwuid
