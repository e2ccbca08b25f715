"""The most restrictive source wins: the complete table, and properties of the rule."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.consent import decision as consent
from deepchecks_telemetry.spool.consent.decision import Decision, Source, decide, read_environ, read_source, resolve
from deepchecks_telemetry.spool.files.paths import Home

WORDS = {None: None, "on": "on", "local\n": "local", "OFF": "off", "": "off", "o": "off"}
VARIABLES = {None: None, "": None, "on": "on", " Local ": "local", "off": "off", "1": "off"}
UNTRACKED = {None: None, " ": None, "0": None, "False ": None, "no": None, "1": "off", "true": "off"}
SWITCHES = {None: None, "": None, "0": "off", "1": "off"}
if os.name == "nt":  # a decision reads files, which takes 9 ms under Wine: 48,384 of them would take seven minutes
    UNTRACKED, SWITCHES = {None: None, "1": "off"}, {None: None, "0": "off"}


def most_restrictive(modes: "list[str | None]", default: str) -> str:
    """The same rule, written in another way."""
    return next((mode for mode in ("off", "local", "on") if mode in modes), default)


def write(path: str, word: str | None) -> None:
    if word is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(word)


@pytest.mark.parametrize("test_run", [False, True])
@pytest.mark.parametrize("choice", WORDS)
@pytest.mark.parametrize("policy", WORDS)
def test_the_most_restrictive_source_decides(
    dirs: Home, monkeypatch: pytest.MonkeyPatch, policy: str | None, choice: str | None, test_run: bool
) -> None:
    write(dirs.policy_mode, policy)
    write(dirs.mode, choice)
    monkeypatch.setattr(consent, "is_test_run", lambda *_: test_run)
    names = ("DEEPCHECKS_TELEMETRY", "DO_NOT_TRACK", *consent.LIBRARY_SWITCHES)
    for *values, closed in itertools.product(VARIABLES, UNTRACKED, SWITCHES, (None, "false"), (False, True)):
        environ = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        variable, untracked, switch, other = values
        asked = [WORDS[policy], VARIABLES[variable], UNTRACKED[untracked], SWITCHES[switch], other and "off"]
        fence = "off" if closed and choice is None else None
        expected = most_restrictive([*asked, WORDS[choice], fence], "off" if test_run else "on")
        decision = decide(dirs, environ, closed=(lambda: True) if closed else (lambda: False))
        assert decision.mode == expected, (environ, closed)


def decided(decision: Decision) -> tuple[str, str]:
    return decision.mode, decision.decided_by


SOURCES = st.lists(st.builds(Source, st.text(), st.sampled_from([None, "on", "local", "off"])))


@given(SOURCES, st.booleans())
def test_any_off_is_off_and_any_local_is_never_on(sources: list[Source], test_run: bool) -> None:
    mode = resolve(sources, test_run=test_run).mode
    assert not any(source.mode == "off" for source in sources) or mode == "off"
    assert not any(source.mode == "local" for source in sources) or mode != "on"


@given(SOURCES, st.booleans())
def test_the_deciding_source_has_the_mode_of_the_decision(sources: list[Source], test_run: bool) -> None:
    decision = resolve(sources, test_run=test_run)
    defaults = [Source("the default", "on"), Source("a test run", "off")]
    assert (decision.decided_by, decision.mode) in [(source.name, source.mode) for source in (*sources, *defaults)]
    assert decision.sources == tuple(sources)


@given(SOURCES, SOURCES)
def test_another_source_never_makes_it_less_restrictive(some: list[Source], more: list[Source]) -> None:
    order = ["on", "local", "off"]
    with_opinion = resolve(some).mode if any(source.mode for source in some) else "on"
    assert order.index(resolve([*some, *more]).mode) >= order.index(with_opinion)


def test_a_test_run_is_off_only_if_no_source_is_set() -> None:
    assert decided(resolve([], test_run=True)) == ("off", "a test run")
    for mode in ("on", "local"):
        assert resolve([Source("DEEPCHECKS_TELEMETRY", mode)], test_run=True).mode == mode
    sources = [Source("DEEPCHECKS_TELEMETRY", "on"), Source("your choice", "off")]
    assert decided(resolve(sources, test_run=True)) == ("off", "your choice")


def test_without_a_source_and_outside_of_tests_it_is_on(dirs: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "is_test_run", lambda *_: False)
    assert decided(resolve([])) == ("on", "the default")
    assert decided(resolve([Source("your choice", None)])) == ("on", "the default")
    assert decided(decide(dirs, {})) == ("on", "the default")


def test_the_policy_is_the_first_source(dirs: Home) -> None:
    write(dirs.policy_mode, "off")
    choose(dirs, "on")
    decision = decide(dirs, {})
    assert decided(decision) == ("off", "the administrator's policy")
    default = ["your choice in the default directory"] if dirs.default else []  # on Windows each user has one
    asked = ["the administrator's policy", *consent.SWITCHES, "your choice", *default, "an earlier disable"]
    assert [source.name for source in decision.sources] == asked


def test_each_variable_is_a_source() -> None:
    environ = {"DEEPCHECKS_TELEMETRY": "local", "DO_NOT_TRACK": "1", "DISABLE_LATEST_VERSION_CHECK": "no"}
    assert {(source.name, source.mode) for source in read_environ(environ) if source.mode} == {
        ("DEEPCHECKS_TELEMETRY", "local"),
        ("DO_NOT_TRACK", "off"),
        ("DISABLE_LATEST_VERSION_CHECK", "off"),
    }


def test_a_choice_that_cannot_be_read_means_off(tmp_path: Path) -> None:
    folder, loop, binary = tmp_path / "folder", tmp_path / "loop", tmp_path / "binary"
    folder.mkdir()
    binary.write_bytes(b"\xff\x00on")
    assert [read_source("", str(path)).mode for path in (folder, binary)] == ["off", "off"]
    if os.name == "posix":
        loop.symlink_to(loop)
        assert read_source("", str(loop)).mode == "off"


def test_a_file_that_is_longer_than_any_mode_means_off(tmp_path: Path) -> None:
    for size, mode in ((64, "on"), (65, "off")):
        (tmp_path / "mode").write_bytes(b"on".ljust(size))
        assert read_source("", str(tmp_path / "mode")).mode == mode


def test_a_missing_choice_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("on")
    assert read_source("", str(tmp_path / "missing" / "mode")).mode is None
    assert read_source("", str(tmp_path / "file" / "mode")).mode is None


def test_the_fence_only_counts_if_the_choice_is_missing(dirs: Home) -> None:
    asked: list[int] = []

    def closed() -> bool:
        asked.append(1)
        return True

    assert decided(decide(dirs, {"DEEPCHECKS_TELEMETRY": "on"}, closed=closed)) == ("off", "an earlier disable")
    choose(dirs, "on")
    assert decide(dirs, {}, closed=closed).mode == "on"
    assert len(asked) == 1
