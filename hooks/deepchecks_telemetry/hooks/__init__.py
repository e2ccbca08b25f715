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

__all__ = ["attach"]
