"""The uploader's command and environment: it finds this package where the host found it, and runs no planted code.

The interpreter runs with `-I`, so its import path contains the standard library and the environment's packages, but
not the working directory, PYTHONPATH or the directory of a script. If this package is not found there (zipapp, pex,
shiv, a relative PYTHONPATH), the host's import path is appended: at the end, so that no file in it replaces a module of
the standard library.
"""

import os
import sys

from deepchecks_telemetry.spool.errors import raise_if_hosts
from deepchecks_telemetry.spool.files.paths import DIR_VARIABLE

CODE = """import sys
try:
    import filelock, requests, deepchecks_telemetry.uploader.__main__ as uploader
except ImportError:
    sys.path += [path for path in sys.argv[2:] if path not in sys.path]
    import deepchecks_telemetry.uploader.__main__ as uploader
uploader.main(sys.argv[1] or None)
"""
PATH_VARIABLES = (DIR_VARIABLE, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSLKEYLOGFILE")


def command(interpreter: str, endpoint: str | None) -> list[str]:
    """The command that sends to the endpoint in force, or to `endpoint` if no other is set."""
    return [interpreter, "-I", *_bytecode_options(), "-c", CODE, endpoint or "", *import_path()]


def import_path() -> list[str]:
    """The existing entries of the host's import path as absolute paths, and the directory of this package.

    The entry `""` is left out, because it means whatever the host's working directory is.
    """
    source_root = os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)
    entries = map(_absolute, filter(None, [*map(str, sys.path), source_root]))
    return [path for path in dict.fromkeys(entries) if os.path.exists(path)]


def environment() -> dict[str, str]:
    """The host's environment with absolute paths, because the uploader runs in another directory."""
    environ = dict(os.environ)
    for name in filter(environ.get, PATH_VARIABLES):
        environ[name] = _absolute(os.path.expanduser(environ[name]) if name == DIR_VARIABLE else environ[name])
    if paths := environ.get("SSL_CERT_DIR"):
        environ["SSL_CERT_DIR"] = os.pathsep.join(map(_absolute, paths.split(os.pathsep)))
    return environ


def _bytecode_options() -> list[str]:
    """The host's PYTHONDONTWRITEBYTECODE and PYTHONPYCACHEPREFIX as options, because `-I` ignores the variables."""
    prefix = [] if sys.pycache_prefix is None else ["-X", f"pycache_prefix={_absolute(sys.pycache_prefix)}"]
    return [*(["-B"] if sys.dont_write_bytecode else []), *prefix]


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError as error:
        raise_if_hosts(error)
        return path  # relative to a working directory that was removed
