"""Functions of Windows: the folders of a user and of the machine, and whether an administrator owns a file.

On Windows any user may create files where the policy is, so a policy counts only if an administrator owns its file. On
other systems only root can write there, and nothing is checked.

Only `ctypes` can call these functions. The registry and the variables, which need no import, are no replacement: a
service may have neither, and a variable must not move the directories. Under Wine a process with one event takes some
300 ms of CPU; it took 500 ms when platformdirs called them.
"""

import sys

LOCAL_APPDATA, COMMON_APPDATA = 0x1C, 0x23  # CSIDL, of this user and of the machine

if sys.platform == "win32":
    from deepchecks_telemetry.spool.errors import Unusable

    MAX_PATH = 260
    DONT_VERIFY = 0x4000  # CSIDL_FLAG_DONT_VERIFY: also a folder that does not exist yet
    LOCAL_SYSTEM, ADMINISTRATORS = 22, 26  # WinLocalSystemSid and WinBuiltinAdministratorsSid of WELL_KNOWN_SID_TYPE
    FILE_OBJECT, OWNER = 1, 1  # SE_FILE_OBJECT and OWNER_SECURITY_INFORMATION

    def find_folder(number: int) -> str:
        """The path of a folder by its CSIDL; raises `Unusable` if there is none, for example without a profile."""
        import ctypes

        path = ctypes.create_unicode_buffer(MAX_PATH)
        if ctypes.WinDLL("shell32").SHGetFolderPathW(None, number | DONT_VERIFY, None, 0, path):
            raise Unusable("this user has no home directory")
        return path.value

    def is_administrators(path: str) -> bool:
        """Whether the file belongs to the group of administrators or to the system; False if that cannot be read."""
        import ctypes

        owner, descriptor = ctypes.c_void_p(), ctypes.c_void_p()
        library = ctypes.WinDLL("advapi32")
        library.GetNamedSecurityInfoW(
            *(ctypes.c_wchar_p(path), FILE_OBJECT, OWNER, ctypes.byref(owner), None, None, None),
            ctypes.byref(descriptor),
        )
        try:
            return bool(owner) and any(library.IsWellKnownSid(owner, kind) for kind in (LOCAL_SYSTEM, ADMINISTRATORS))
        finally:
            kernel = ctypes.WinDLL("kernel32")
            kernel.LocalFree(descriptor)

else:

    def find_folder(number: int) -> str:
        """Only for Windows."""
        raise NotImplementedError(number)

    def is_administrators(path: str) -> bool:  # noqa: ARG001
        """Always True: see the module."""
        return True
