"""The uploader's command and environment: it finds this package where the host found it, and runs no planted code.

The interpreter runs with `-I`: its path holds the standard library and the environment's packages, nothing of a working
directory, of PYTHONPATH or of a script's directory. Only where that is not enough (a zipapp, pex, shiv, a relative
PYTHONPATH) is the host's own path appended, so that no file on it takes the place of a module of the standard library.
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
LISTS = ("SSL_CERT_DIR",)
FILES = (DIR_VARIABLE, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSLKEYLOGFILE")


def command(interpreter: str, endpoint: str | None) -> list[str]:
    """The command that sends to the endpoint in force, or to `endpoint` where no other is set."""
    return [interpreter, "-I", *_bytecode_options(), "-c", CODE, endpoint or "", *import_path()]


def import_path() -> list[str]:
    """The host's import path, absolute: what exists of it, and in any case the place of this package.

    The entry `""` is left out, since it means any directory in which the host happens to work.
    """
    own = os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)
    entries = map(_absolute, filter(None, [*map(str, sys.path), own]))
    return [path for path in dict.fromkeys(entries) if os.path.exists(path)]


def environment() -> dict[str, str]:
    """The host's environment with absolute paths, since the uploader works in another directory."""
    environ = dict(os.environ)
    for name in filter(environ.get, FILES):
        environ[name] = _absolute(os.path.expanduser(environ[name]) if name == DIR_VARIABLE else environ[name])
    for name in filter(environ.get, LISTS):
        environ[name] = os.pathsep.join(map(_absolute, environ[name].split(os.pathsep)))
    return environ


def _bytecode_options() -> list[str]:
    """What PYTHONDONTWRITEBYTECODE and PYTHONPYCACHEPREFIX mean in the host; `-I` ignores the variables."""
    prefix = [] if sys.pycache_prefix is None else ["-X", f"pycache_prefix={_absolute(sys.pycache_prefix)}"]
    return [*(["-B"] if sys.dont_write_bytecode else []), *prefix]


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError as error:
        raise_if_hosts(error)
        return path  # relative to a working directory that was removed
