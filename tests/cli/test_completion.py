"""Completion: the script for each shell works in the real shell."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pytest

Tool = Callable[[str], str]
EXPECTED = {"status", "settle", "sent"}

BASH = """
eval "$(_DEEPCHECKS_COMPLETE=bash_source deepchecks)"
COMP_WORDS=(deepchecks telemetry s); COMP_CWORD=2
_deepchecks_completion deepchecks s telemetry; printf '%s\\n' "${COMPREPLY[@]}"
"""
# Outside the line editor, zsh's own `compadd` and `_describe` cannot be called; these print their arguments.
ZSH = """
compdef() { : }
compadd() { print -l -- "$@" }
_describe() { print -l -- "${(@P)${@[-1]}}" "${(@P)${@[-2]}}" }
eval "$(_DEEPCHECKS_COMPLETE=zsh_source deepchecks)"
words=(deepchecks telemetry s); CURRENT=3; _deepchecks_completion
"""
FISH = """
_DEEPCHECKS_COMPLETE=fish_source deepchecks | source
complete --do-complete 'deepchecks telemetry s'
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has other shells")
@pytest.mark.parametrize(("shell", "script"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)])
def test_a_shell_completes_the_commands(shell: str, script: str, tool: Tool, tmp_path: Path) -> None:
    program = tmp_path / "deepchecks"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deepchecks_telemetry.cli "$@"\n')
    program.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = run([tool(shell), "-c", script], env=environ, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    completions = {line.split("\t")[0].split(":")[0].strip() for line in done.stdout.splitlines()}
    assert completions >= EXPECTED, done.stdout
    assert not any(line.startswith(("disable", "view")) for line in completions)
