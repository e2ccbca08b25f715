"""Counts what the released deepchecks does, without changing its behaviour; nothing happens before `attach()`.

In the host program:

attach               `attach()`: installs the import hook, applies the targets
import_hook          calls back when a watched module has been executed
targets              every place in deepchecks that is changed
wrappers             counts the outermost call of a method
builtin_telemetry    turns deepchecks' own request off, finds its old identifier
worker               detects worker processes, whose import is not counted
errors               the exceptions, and which belong to the host

On the command line:

pth/                 the attach file (`.pth`) of an environment
compatibility        checks which targets the installed deepchecks has
"""

from deepchecks_telemetry.hooks.attach import attach
from deepchecks_telemetry.hooks.builtin_telemetry import old_user_id, remove_user_id
from deepchecks_telemetry.hooks.compatibility import deepchecks_folder, missing_targets
from deepchecks_telemetry.hooks.errors import HooksError
from deepchecks_telemetry.hooks.pth.file import install_file, installed_file, remove_file, stale_file
from deepchecks_telemetry.hooks.targets import TARGETS, Target

__all__ = [
    "TARGETS",
    "HooksError",
    "Target",
    "attach",
    "deepchecks_folder",
    "install_file",
    "installed_file",
    "missing_targets",
    "old_user_id",
    "remove_file",
    "remove_user_id",
    "stale_file",
]
