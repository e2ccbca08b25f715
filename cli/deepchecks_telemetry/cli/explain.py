"""Each source of the mode and of the endpoint with its answer, in the order in which they count, and unknown values."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from deepchecks_telemetry.cli.output import plain
from deepchecks_telemetry.spool.consent.decision import CHOICE, DEFAULT_CHOICE, POLICY, Decision, Source
from deepchecks_telemetry.spool.doctor import remedy_for_source
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import ATTACHED, VARIABLE, Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint

SILENT = "not set"
ENVIRONMENT = "the environment"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one source answered to one question, and where it can be looked up; None where it has no opinion."""

    question: str
    source: str
    answer: str | None
    where: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A source that counts as off although it does not say so: its name, where, what is wrong, and what to do."""

    source: str
    where: str
    problem: str
    remedy: str


def explain(
    home: Home, decision: Decision, attached: str | None, environ: Mapping[str, str] = os.environ
) -> tuple[Answer, ...]:
    """Every source that was asked, also the silent ones."""
    return (*_modes(home, decision), *_endpoints(home, attached, environ))


def unknown_modes(home: Home, decision: Decision) -> tuple[Unknown, ...]:
    """Every source of the mode that counts as off although it does not say so."""
    return tuple(
        Unknown(source.name, _where(home, source), plain(source.reason), remedy_for_source(home, source))
        for source in decision.sources
        if source.reason
    )


def _modes(home: Home, decision: Decision) -> Iterator[Answer]:
    for source in decision.sources:
        answer = f"{source.mode} ({plain(source.reason)})" if source.reason else source.mode
        yield Answer("mode", source.name, answer, _where(home, source))


def _where(home: Home, source: Source) -> str:
    files = {POLICY: home.policy_mode, CHOICE: home.mode, DEFAULT_CHOICE: (home.default or home).mode}
    return files.get(source.name, ENVIRONMENT if source.name.isupper() else home.spool)


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
