"""In each interpreter that a test starts: the user database names the test's home folder, or none, never the real one.

What is found by the user database no variable can move, so a variable of ours must not; this module is the tests'.
"""

import os

VARIABLE = "TESTS_REGISTERED_HOME"

try:
    import pwd
except ImportError:  # Windows
    pass
else:
    _real = pwd.getpwuid

    def getpwuid(user: int) -> pwd.struct_passwd:
        """The entry with the folder of this user's number below the test's, or with no folder where it names none."""
        folder = os.environ.get(VARIABLE)
        entry = list(_real(user))
        entry[5] = os.path.join(folder, str(user)) if folder else ""
        return pwd.struct_passwd(entry)

    pwd.getpwuid = getpwuid
