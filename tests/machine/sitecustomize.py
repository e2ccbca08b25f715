"""In each interpreter that a test starts, the user database has the test's home directory, or none, never the real one.

No variable of our package may change the result of the user database, so this module of the tests replaces it.
"""

import os
import sys
import types

VARIABLE = "TESTS_REGISTERED_HOME"

try:
    import pwd
except ImportError:  # Windows, where both are known to the system only

    def find_folder(number: int) -> str:
        """The folder of that number below the test's user, never the real one."""
        return os.path.join(os.environ.get(VARIABLE) or os.environ["USERPROFILE"], "AppData", str(number))

    # Tests cannot write a policy as an administrator, and one of another user would not count.
    NAME = "deepchecks_telemetry.spool.files.windows"
    windows = sys.modules.setdefault(NAME, types.ModuleType(NAME))  # conftest.py has imported the real one
    windows.__dict__.update(find_folder=find_folder, is_administrators=bool, LOCAL_APPDATA=0x1C, COMMON_APPDATA=0x23)
else:
    _real = pwd.getpwuid

    def getpwuid(user: int) -> pwd.struct_passwd:
        """The entry with the test's directory for this user id, or without a directory if the test has none."""
        folder = os.environ.get(VARIABLE)
        entry = list(_real(user))
        entry[5] = os.path.join(folder, str(user)) if folder else ""
        return pwd.struct_passwd(entry)

    pwd.getpwuid = getpwuid
