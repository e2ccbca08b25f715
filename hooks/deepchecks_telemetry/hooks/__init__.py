"""Records what the real deepchecks does, without changing it: importing this room touches nothing until `attach()`."""

from deepchecks_telemetry.hooks.attach import attach
from deepchecks_telemetry.hooks.builtin_telemetry import old_user_id, remove_user_id
from deepchecks_telemetry.hooks.compatibility import deepchecks_folder, missing_targets
from deepchecks_telemetry.hooks.errors import HooksError
from deepchecks_telemetry.hooks.pth.file import install_file, installed_file, remove_file
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
]
