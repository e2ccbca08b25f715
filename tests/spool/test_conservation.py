"""After any sequence of operations the sums agree, also with a model that does not use SQLite."""

import os
import shutil
import signal
import tempfile
from collections import Counter
from contextlib import closing

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.batches import exports
from deepchecks_telemetry.spool.batches.ledger import Batch, Disposition, batches, mark_attempt, settle
from deepchecks_telemetry.spool.batches.queue import DAYS_AHEAD
from deepchecks_telemetry.spool.batches.seal import Row, seal
from deepchecks_telemetry.spool.catalogue import EVENTS, LAST_DAY
from deepchecks_telemetry.spool.choice import choose
from deepchecks_telemetry.spool.db.compaction import compact
from deepchecks_telemetry.spool.db.connection import connect
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.spool.recording import record as recording
from deepchecks_telemetry.spool.recording import watch
from deepchecks_telemetry.spool.recording.watch import FIRST_DAY
from deepchecks_telemetry.spool.states import UNSETTLED, BatchState
from deepchecks_telemetry.spool.stats import read_accounts, read_unsent
from deepchecks_telemetry.spool.wipe import erase

NAMES = st.sampled_from([event.name for event in EVENTS])
# 1970, the day after one of `seal`, around now, far ahead, the last day
DAYS = st.sampled_from([0, 1, 46_297, 20_000, 20_001, 30_000, 65_535])
Counts = Counter[tuple[int, str]]


def render(installation: str, rows: list[Row]) -> bytes:
    return repr((installation, rows)).encode()


class Spool(RuleBasedStateMachine):
    """One user's spool, and a model of it in a few counters."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("DEEPCHECKS_TELEMETRY_DIR", self.folder)
        self.patch.setattr(watch, "LEASE_S", 0.0)
        self.home = find_home()
        self.mode = "on"
        self.jump(20_000)
        self.close_session()

    def close_session(self) -> None:
        self.recorded = self.delivered = self.rejected = 0
        self.pending: Counts = Counter()
        self.unsettled: dict[str, tuple[str, Counts]] = {}  # batches by digest: their state and rows
        self.done: list[Batch] = []
        self.dropped: dict[str, Counts] = {}  # exported, and pruned before a receipt came

    def teardown(self) -> None:
        recording.close()
        self.patch.undo()
        shutil.rmtree(self.folder)

    def spool_exists(self) -> bool:
        return os.path.exists(self.home.spool)

    def count(self, name: str, times: int) -> None:
        self.recorded += times
        self.pending[self.day, name] += times

    def in_state(self, *states: str) -> int:
        return sum(sum(rows.values()) for state, rows in self.unsettled.values() if state in states)

    def is_sealed(self) -> bool:
        return any(state == "sealed" for state, _ in self.unsettled.values())

    @rule(name=NAMES, times=st.integers(1, 5))
    def record_some(self, name: str, times: int) -> None:
        for _ in range(times):
            assert record(name) is (self.mode != "off")
        if self.mode != "off":
            self.count(name, times)

    @precondition(lambda _: hasattr(os, "fork"))
    @rule(name=NAMES, times=st.integers(1, 3))
    def record_in_a_child_that_is_killed(self, name: str, times: int) -> None:
        pid = os.fork()
        if pid == 0:
            results = [record(name) for _ in range(times)]
            os.kill(os.getpid(), signal.SIGKILL if results == [self.mode != "off"] * times else signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        if self.mode != "off":
            self.count(name, times)

    @rule(day=DAYS)
    def jump(self, day: int) -> None:
        self.day = day
        self.patch.setattr(watch, "today", lambda: day)

    @precondition(spool_exists)
    @rule()
    def fold(self) -> None:
        with closing(connect(self.home)) as connection:
            compact(self.home, connection)

    @precondition(spool_exists)
    @rule(now=st.sampled_from([0.0, 1.7e9, 4e9]))
    def seal(self, now: float) -> None:
        made = seal(self.home, render, clock=lambda: now)
        today = int(now // 86_400)
        self.redate_far_future(today)
        held = Counter({key: count for key, count in self.pending.items() if today < key[0] <= today + DAYS_AHEAD})
        ready = self.pending - held
        assert made is bool(ready and not self.is_sealed())
        if made:
            (batch,) = batches(self.home, states=("sealed",))
            self.unsettled[batch.sha256] = ("sealed", ready)
            self.pending = held

    def redate_far_future(self, today: int) -> None:
        """Counts dated too far ahead are moved to today, unless the clock was never set."""
        if today < FIRST_DAY:
            return
        for day, name in [key for key in self.pending if today + DAYS_AHEAD < key[0] < LAST_DAY]:
            self.pending[today, name] += self.pending.pop((day, name))

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data(), state=st.sampled_from(["delivered", "rejected", "parked", "sealed", "exported", "crash"]))
    def send(self, data: st.DataObject, state: str) -> None:
        batch = data.draw(st.sampled_from(batches(self.home, states=("sealed", "parked", "exported"))))
        before, rows = self.unsettled[batch.sha256]
        assert mark_attempt(self.home, batch, "https://collector.example.org")
        if state == "crash" or (state == "sealed" and self.is_sealed() and before != "sealed"):
            return
        refused = len(rows) if state == "rejected" else data.draw(st.integers(0, len(rows) + 1))
        if state not in ("delivered", "rejected"):
            refused = 0
        assert settle(self.home, batch, Disposition(BatchState(state), "a test", rejected_rows=refused)) is True
        if state in ("delivered", "rejected"):
            lost = sum(sorted(rows.values())[:refused])
            self.rejected += lost
            self.delivered += sum(rows.values()) - lost
            del self.unsettled[batch.sha256]
            self.done.append(batch)
        else:
            self.unsettled[batch.sha256] = (state, rows)

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data())
    def export_and_prune(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(batches(self.home, states=UNSETTLED)))
        assert settle(self.home, batch, Disposition(BatchState.EXPORTED, "exported"))
        self.unsettled[batch.sha256] = ("exported", self.unsettled[batch.sha256][1])
        with pytest.MonkeyPatch.context() as patch, closing(connect(self.home)) as connection:
            patch.setattr(exports, "MAX_UNSETTLED_BYTES", 0)
            exports.prune_exports(connection)
        for sha256 in [sha256 for sha256, (state, _) in self.unsettled.items() if state == "exported"]:
            self.dropped[sha256] = self.unsettled.pop(sha256)[1]

    @precondition(lambda self: self.dropped)
    @rule(data=st.data(), state=st.sampled_from(["delivered", "rejected", "parked"]))
    def settle_a_dropped_one(self, data: st.DataObject, state: str) -> None:
        batch = data.draw(st.sampled_from(batches(self.home, states=("dropped",))))
        found = Disposition(BatchState(state), "from a receipt", rejected_rows=batch.rows if state == "rejected" else 0)
        assert mark_attempt(self.home, batch, "https://collector.example.org") is False
        assert settle(self.home, batch, found, reschedule=False) is (state != "parked")
        if state != "parked":
            events = self.dropped.pop(batch.sha256).total()
            self.delivered += events if state == "delivered" else 0
            self.rejected += events if state == "rejected" else 0
            self.done.append(batch)

    @precondition(lambda self: self.done)
    @rule(data=st.data(), state=st.sampled_from(["delivered", "rejected", "parked", "sealed"]))
    def settle_again(self, data: st.DataObject, state: str) -> None:
        batch = data.draw(st.sampled_from(self.done))
        assert settle(self.home, batch, Disposition(BatchState(state), "again", rejected_rows=1)) is False
        assert mark_attempt(self.home, batch, "https://collector.example.org") is False

    @precondition(lambda self: self.recorded > 5)  # otherwise most sequences are one disable after the other
    @rule()
    def disable(self) -> None:
        erase(self.home)
        self.mode = "off"
        self.close_session()

    @rule(mode=st.sampled_from(["on", "local"]))
    def enable(self, mode: str) -> None:
        choose(self.home, mode)
        self.mode = mode

    @rule(mode=st.sampled_from(["on", "local", "off"]), name=NAMES)
    def switch_this_process(self, mode: str, name: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DEEPCHECKS_TELEMETRY", mode)
            stored = record(name)
        assert stored is ("off" not in (mode, self.mode))
        if stored:
            self.count(name, 1)

    @invariant()
    def the_counts_agree_with_the_model(self) -> None:
        stats = read_accounts(self.home)
        assert stats.balance == 0
        assert (stats.recorded, stats.pending) == (self.recorded, sum(self.pending.values()))
        assert (stats.delivered, stats.rejected) == (self.delivered, self.rejected)
        states = ("sealed", "parked", "exported")
        assert [getattr(stats, state) for state in states] == [self.in_state(state) for state in states]
        dropped = sum(map(Counter.total, self.dropped.values()))
        assert (stats.batches, stats.dropped) == (len(self.unsettled), {"unsettled": dropped} if dropped else {})

    @invariant()
    def unsent_events_agree_with_the_model(self) -> None:
        loose = {(at.day, at.event): at.count for at in read_unsent(self.home) if at.state == "pending"}
        assert loose == {key: count for key, count in self.pending.items() if count}


TestSpool = Spool.TestCase
TestSpool.settings = settings(
    max_examples=20, stateful_step_count=30, suppress_health_check=list(HealthCheck), print_blob=True
)
