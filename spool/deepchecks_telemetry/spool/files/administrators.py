"""On Windows any user may create files where the policy is, so a policy counts only if an administrator owns its file.

On other systems only root can write there, and nothing is checked.
"""

import sys

if sys.platform == "win32":
    LOCAL_SYSTEM, ADMINISTRATORS = 22, 26  # WinLocalSystemSid and WinBuiltinAdministratorsSid of WELL_KNOWN_SID_TYPE
    FILE_OBJECT, OWNER = 1, 1  # SE_FILE_OBJECT and OWNER_SECURITY_INFORMATION

    def is_administrators(path: str) -> bool:
        """Whether the file belongs to the group of administrators or to the system; False if that cannot be read."""
        import ctypes  # 2 ms, needed only if there is a policy

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

    def is_administrators(path: str) -> bool:  # noqa: ARG001
        """Always True: see the module."""
        return True
