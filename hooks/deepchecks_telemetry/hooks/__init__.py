"""Counts what the released deepchecks does, without changing it: importing this package does nothing until `attach()`.

In the host program, in the order of what happens:

attach               `attach()`: install the import hook, apply the targets of each module of deepchecks
import_hook          notice the import of a module
targets              every place in deepchecks that is touched, and how
wrappers             count the calls of a method
builtin_telemetry    turn deepchecks' own request off; its old identifier file
worker               which processes do not count as an import
errors               the exceptions of this package, and which exceptions are the host's

On the command line:

pth/                 the attach file of an environment
compatibility        which targets the installed deepchecks has
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
