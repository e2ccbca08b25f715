"""`record`: the one call that the host program makes, and never notices."""

import os

from deepchecks_telemetry.spool.catalogue import NUMBERS
from deepchecks_telemetry.spool.consent import SWITCHES
from deepchecks_telemetry.spool.paths import DIR_VARIABLE, find_home
from deepchecks_telemetry.spool.writer import Writer

# The dictionary behind os.environ: `os.environ.get` costs 0.7 µs a variable, and they are looked at for each event.
_environ = getattr(os.environ, "_data", os.environ)
_watched = tuple(getattr(os.environ, "encodekey", lambda name: name)(name) for name in (*SWITCHES, DIR_VARIABLE))
_writer: Writer | None = None
_made_for: tuple[object, ...] = ()


def record(name: str) -> bool:
    """Count one event of the catalogue; True when it is stored and survives this process, else False.

    Never raises, prints nothing, waits about 100 ms at most, and stores nothing but what the catalogue names.
    """
    global _writer, _made_for
    try:
        # A connection must not cross a fork; a switch that is set while the program runs counts from now on.
        here = (os.getpid(), *map(_environ.get, _watched))
        if _writer is None or here != _made_for:
            _writer, _made_for = Writer(find_home()), here
        return _writer.append(NUMBERS[name])
    except Exception:  # noqa: BLE001 - the host program must never see an error of ours, known or unknown
        return False
