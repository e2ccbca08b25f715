"""The tests notice: each of these changes to the code, one at a time, makes the test that is named with it fail.

All of them with `pytest tests/spool/test_mutations.py tests/campaigns --long`; the first three in every run.
"""

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parents[1]


class Mutation(NamedTuple):
    """Old text that stands exactly once in a file of the room, what replaces it, and the test that must fail."""

    file: str
    old: str
    new: str
    test: str


MUTATIONS = {
    "no fence": Mutation(
        "writer.py",
        "SELECT ?, ?, ? FROM spool WHERE epoch = ?",
        "SELECT ?, ?, ? FROM spool WHERE epoch >= 0 * ?",
        "test_recording.py::test_the_fence_alone_keeps_an_open_connection_out",
    ),
    "no TRUNCATE": Mutation(
        "fold.py",
        "(TRUNCATE)",
        "(PASSIVE)",
        "test_erasing.py::test_no_byte_is_left_while_another_process_has_the_spool_open",
    ),
    "no close before a fork": Mutation(
        "recording.py",
        "os.register_at_fork(before=_before_fork, ",
        "os.register_at_fork(",
        "test_processes.py::test_a_forked_childs_events_outlive_its_parents_connection",
    ),
    "no VACUUM": Mutation(
        "erasing.py", 'connection.execute("VACUUM")', "pass", "test_erasing.py::test_no_byte_of_a_full_spool_is_left"
    ),
    "no BEGIN IMMEDIATE": Mutation(
        "patience.py",
        'execute("BEGIN IMMEDIATE")',
        'execute("BEGIN")',
        "test_patience.py::test_a_transaction_holds_the_write_lock_from_its_first_moment",
    ),
    "no fork check": Mutation(
        "kept.py",
        "return any(pid != os.getpid() for pid, _ in _kept.connections)",
        "return False",
        "test_processes.py::test_a_child_of_a_fork_that_python_does_not_see_records_nothing_and_harms_nothing",
    ),
    "closed at the exit": Mutation(
        "kept.py",
        "_kept.connections.append((os.getpid(), connection))",
        "pass",
        "test_kept.py::test_a_process_that_goes_leaves_its_wal_and_does_no_checkpoint",
    ),
    "the fence after the wait for an upload": Mutation(
        "erasing.py",
        "    _close_fence(home)\n    with",
        "    with",
        "test_erasing.py::test_an_upload_in_flight_is_waited_for",
    ),
    "the identifier stays": Mutation(
        "erasing.py",
        "installation = NULL, ",
        "",
        "test_erasing.py::test_it_tells_what_was_there_and_zeroes_every_counter",
    ),
    "a try begins behind the fence": Mutation(
        "ledger.py",
        " AND (SELECT epoch % 2 FROM spool) = 0",
        "",
        "test_ledger.py::test_no_try_begins_while_the_fence_is_closed",
    ),
    "settled twice": Mutation(
        "ledger.py",
        "AND state NOT IN ('delivered', 'rejected')",
        "",
        "test_ledger.py::test_to_settle_what_is_settled_changes_nothing",
    ),
    "a second batch while one waits": Mutation(
        "sealing.py",
        "not _waiting(connection)",
        "True",
        "test_sealing.py::test_nothing_is_sealed_while_a_batch_waits_and_nothing_is_sealed_twice",
    ),
    "free text is sealed": Mutation(
        "sealing.py",
        "not is_allowed(places.get(place, ()))",
        "place not in places",
        "test_sealing.py::test_free_text_that_was_edited_into_the_file_is_dropped_and_counted",
    ),
    "digits of every script": Mutation(
        "catalogue.py", "pattern, re.ASCII)", "pattern)", "test_catalogue.py::test_a_version_is_made_of_ascii_digits"
    ),
    "the most open source wins": Mutation(
        "consent.py",
        "for mode in reversed(MODES)",
        "for mode in MODES",
        "test_consent.py::test_of_all_sources_the_most_private_one_decides",
    ),
    "unreadable is no opinion": Mutation(
        "consent.py",
        "    except OSError:\n        return OFF",
        "    except OSError:\n        return None",
        "test_consent.py::test_a_choice_that_cannot_be_read_means_off",
    ),
    "the last id is forgotten": Mutation(
        "fold.py",
        "DELETE FROM events WHERE id < ?",
        "DELETE FROM events WHERE id <= ?",
        "test_fold.py::test_ids_go_on_and_the_largest_remains_the_count_of_all",
    ),
    "the emptied row is counted": Mutation(
        "fold.py", "WHERE event > 0 AND id <= ?", "WHERE id <= ?", "test_machine.py::TestSpool"
    ),
    "automatic checkpoints": Mutation(
        "schema.py",
        "wal_autocheckpoint = 0",
        "wal_autocheckpoint = 1000",
        "test_schema.py::test_the_settings_are_those_of_the_design",
    ),
    "a switch is read once": Mutation(
        "recording.py",
        "and here == _made_for else",
        "else",
        "test_recording.py::test_a_switch_that_is_set_while_the_program_runs_counts_at_once",
    ),
    "only our own errors are caught": Mutation(
        "recording.py",
        "except Exception:",
        "except KeyError:",
        "test_recording.py::test_a_name_whose_hash_raises_is_false",
    ),
    "half open": Mutation(
        "writer.py",
        "        except BaseException:\n            self.close()\n            raise",
        "        except BaseException:\n            raise",
        "test_recording.py::test_an_opening_that_was_cut_short_by_a_lock_is_begun_anew",
    ),
    "drops are not counted": Mutation(
        "writer.py",
        "self._dropped[reason] = self._dropped.get(reason, 0) + 1",
        "pass",
        "test_recording.py::test_a_lock_that_is_held_too_long_drops_the_event_and_counts_it_later",
    ),
    "made without a second look": Mutation(
        "schema.py",
        "            if not os.path.lexists(home.spool):\n                _build(home)",
        "            _build(home)",
        "test_schema.py::test_a_spool_that_was_made_while_we_waited_for_the_lock_is_not_made_again",
    ),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take the first three, or all."""
    if "mutation" in metafunc.fixturenames:
        names = list(MUTATIONS)[: None if metafunc.config.getoption("--long", False) else 3]
        metafunc.parametrize("mutation", [MUTATIONS[name] for name in names], ids=names)


def test_a_change_for_the_worse_is_noticed(mutation: Mutation, tmp_path: Path) -> None:
    path = copy_rooms(tmp_path / "rooms") / "spool" / mutation.file
    text = path.read_text("utf-8")
    assert text.count(mutation.old) == 1, f"{mutation.file} has changed: give this mutation a new place"
    path.write_text(text.replace(mutation.old, mutation.new), "utf-8")
    told = run_test(mutation.test, tmp_path)
    assert (told.returncode, str(path.parent) in told.stdout) == (1, True), told.stdout + told.stderr


def test_without_a_change_those_tests_pass_on_a_copy(tmp_path: Path) -> None:
    copy_rooms(tmp_path / "rooms")
    told = run_test(MUTATIONS["no fence"].test, tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr


def copy_rooms(folder: Path) -> Path:
    """Copy all rooms into one source root, which PYTHONPATH puts before the real ones."""
    package = folder / "deepchecks_telemetry"
    for namespace in import_module("deepchecks_telemetry").__path__:
        shutil.copytree(namespace, package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def run_test(test: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one test against the copy; it names the copy's files where it fails."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    where = "import deepchecks_telemetry.spool, pytest, sys; print(deepchecks_telemetry.spool.__file__, flush=True)"
    options = ["-q", "-x", "-p", "no:cacheprovider", f"--basetemp={folder / 'temporary'}", "--tb=short"]
    return subprocess.run(
        [sys.executable, "-c", f"{where}; sys.exit(pytest.main(sys.argv[1:]))", *options, f"tests/spool/{test}"],
        cwd=TESTS.parent,
        env=ours | {"PYTHONPATH": str(folder / "rooms"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
