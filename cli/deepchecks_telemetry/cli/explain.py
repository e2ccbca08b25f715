"""Who was asked what: each source of the mode and of the endpoint with its answer, in the order in which they count."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from deepchecks_telemetry.spool.consent.decision import CHOICE, DEFAULT_CHOICE, POLICY, Decision, read_mode
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.regular import read_plain
from deepchecks_telemetry.uploader.endpoint import ATTACHED, VARIABLE, Endpoint, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.notice import needs_telling

SILENT = "says nothing"
ENVIRONMENT = "the environment"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one source answered to one question, and where it can be looked up; None where it has no opinion."""

    question: str
    source: str
    answer: str | None
    where: str


def explain(
    home: Home, decision: Decision, attached: str | None, environ: Mapping[str, str] = os.environ
) -> tuple[Answer, ...]:
    """Every source that was asked, also the silent ones."""
    return (*_modes(home, decision), *_endpoints(home, attached, environ))


def _modes(home: Home, decision: Decision) -> Iterator[Answer]:
    files = {POLICY: home.policy_mode, CHOICE: home.mode, DEFAULT_CHOICE: (home.default or home).mode}
    for source in decision.sources:
        variable = ENVIRONMENT if source.name.isupper() else home.spool
        answer = f"{source.mode} ({source.reason})" if source.reason else source.mode
        yield Answer("mode", source.name, answer, files.get(source.name, variable))


def _endpoints(home: Home, attached: str | None, environ: Mapping[str, str]) -> Iterator[Answer]:
    nowhere = home.spool  # a file, or nothing: no folder that could hold an endpoint
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
            found = ask()
            told = None if found is None else found.url
        except BadEndpoint as error:
            told = str(error)
        yield Answer("endpoint", source, told, where)


def is_told(home: Home, endpoint: Endpoint) -> bool:
    """Whether the owner knows of this endpoint, without telling them now (`notice.was_told` would)."""
    told = None
    with suppress(OSError):
        told = read_plain(os.path.join(home.config, "told"), 4096).decode("utf-8", "replace").strip()
    return not needs_telling(endpoint.source, read_mode(home.mode), read_mode(home.policy_mode), told, endpoint.url)
