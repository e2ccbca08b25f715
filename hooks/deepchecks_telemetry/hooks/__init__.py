"""Counts what the released deepchecks does, without changing its behaviour; nothing happens before `attach()`.

In the host program:

attach               `attach()`: installs the import hook, applies the targets, turns deepchecks' own request off
import_hook          calls back when a watched module has been executed
targets              every place in deepchecks that is changed
wrappers             counts the outermost call of a method
worker               detects worker processes, whose import is not counted
errors               the exceptions, and which belong to the host

On the command line:

pth/                 the attach file (`.pth`) of an environment
builtin_telemetry    finds and removes the identifier that deepchecks' own request left behind
compatibility        checks which targets the installed deepchecks has
"""

from deepchecks_telemetry.hooks.attach import attach

__all__ = ["attach"]
