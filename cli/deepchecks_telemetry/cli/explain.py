"""Each source of the mode and of the endpoint with its answer, in the order in which they count, and unknown values."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from deepchecks_telemetry.cli.output import plain
from deepchecks_telemetry.spool.consent.decision import CHOICE, LONGEST, MODE_VARIABLE, MODES, POLICY, Decision
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.uploader.endpoint import ATTACHED, VARIABLE, Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.plan.text import ADMINISTRATOR

SILENT = "not set"
ENVIRONMENT = "the environment"
SHOWN = 40  # characters of a value that is not understood


@dataclass(frozen=True, slots=True)
class Answer:
    """What one source answered to one question, and where it can be looked up; None where it has no opinion."""

    question: str
    source: str
    answer: str | None
    where: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A mode that counts as off because it is not understood: what set it, where, what is wrong, and what to do."""

    source: str
    where: str
    problem: str
    remedy: str


def explain(
    home: Home, decision: Decision, attached: str | None, environ: Mapping[str, str] = os.environ
) -> tuple[Answer, ...]:
    """Every source that was asked, also the silent ones."""
    return (*_modes(home, decision), *_endpoints(home, attached, environ))


def unknown_modes(home: Home, environ: Mapping[str, str] = os.environ) -> tuple[Unknown, ...]:
    """Every source of the mode whose value is not understood, or cannot be read."""
    administrator = f"{ADMINISTRATOR}, to on, local or off, in {home.policy_mode}"
    asked = (
        (POLICY, home.policy_mode, _file_problem(home.policy_mode), administrator),
        (
            MODE_VARIABLE,
            ENVIRONMENT,
            _variable_problem(environ.get(MODE_VARIABLE)),
            f"set {MODE_VARIABLE} to on, local or off, or unset it",
        ),
        (CHOICE, home.mode, _file_problem(home.mode), "deepchecks telemetry enable, or local, or disable"),
    )
    return tuple(Unknown(source, where, problem, remedy) for source, where, problem, remedy in asked if problem)


def _variable_problem(value: str | None) -> str | None:
    return _value_problem(value) if value else None


def _file_problem(path: str) -> str | None:
    try:
        return _value_problem(read_plain(path, LONGEST).decode("utf-8", "replace"))
    except (FileNotFoundError, NotADirectoryError):
        return "it is a link to a file that does not exist" if os.path.islink(path) else None
    except OSError as error:
        return f"it cannot be read: {error.strerror or type(error).__name__}"


def _value_problem(value: str) -> str | None:
    if value.strip().lower() in MODES:
        return None
    text = plain(value.strip())
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return f'the value "{shown}" is not understood: expected on, local or off'


def _modes(home: Home, decision: Decision) -> Iterator[Answer]:
    files = {POLICY: home.policy_mode, CHOICE: home.mode}
    problems = {unknown.source: unknown.problem for unknown in unknown_modes(home)}
    for source in decision.sources:
        where = files.get(source.name, ENVIRONMENT if source.name.isupper() else home.spool)
        problem = problems.get(source.name)
        yield Answer("mode", source.name, f"{source.mode} ({problem})" if problem else source.mode, where)


def _endpoints(home: Home, attached: str | None, environ: Mapping[str, str]) -> Iterator[Answer]:
    nowhere = home.spool  # a file, or nothing: no directory that could hold an endpoint
    neither = home._replace(policy=nowhere, config=nowhere)
    policy, choice = neither._replace(policy=home.policy), neither._replace(config=home.config)
    asked: tuple[tuple[str, str, Callable[[], Endpoint | None]], ...] = (
        (POLICY, os.path.join(home.policy, "endpoint"), lambda: find_endpoint(policy, environ={})),
        (VARIABLE, ENVIRONMENT, lambda: find_endpoint(neither, environ=environ)),
        (CHOICE, os.path.join(home.config, "endpoint"), lambda: find_endpoint(choice, environ={})),
        (ATTACHED, home.spool, lambda: find_endpoint(neither, attached, {})),
    )
    for source, where, ask in asked:
        try:
            endpoint = ask()
            answer = None if endpoint is None else endpoint.url
        except BadEndpoint as error:
            answer = error.problem
        yield Answer("endpoint", source, answer, where)
