"""What a peer does, each line of it tested in this run: what it leaves, and whether its event survives."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.endpoints import Endpoint, answering, refusing
from benchmarks.peers import Adapter
from benchmarks.processes import Failed, Ground, Peer, Process, ground, reason, run, settle
from benchmarks.timing import Effort

LIFE_S = 20.0  # of a process that is kept alive until its event has arrived
TOGETHER = 500  # events of each of two processes
KILLS = 5
SENT, KEPT, LOST = "sent", "kept", "lost"
NOT_APPLICABLE = "not applicable"


def measure_left(peers: list[Peer], _: Effort) -> dict[str, dict[str, Any]]:
    return {peer.name: _try(_left, peer) for peer in peers}


def measure_facts(peers: list[Peer], effort: Effort) -> dict[str, dict[str, Any]]:
    return {peer.name: {name: _try(TESTS[name], peer) for name in effort.facts} for peer in peers}


def _left(peer: Peer) -> dict[str, Any]:
    """What one event, answered, leaves in the host and on the disk, in its home and in its environment."""
    place = Path(peer.python).parents[1]
    with ground() as on, answering(peer.adapter.answer) as there:
        _clear(peer)
        before = _files(place)
        ran = run(peer, "left", there.url, on)
        if not ran.report:
            raise Failed(reason(ran))
        settle(on)
        files = [*_files(on.home), *(_files(place) - before)]
        return {**ran.report, "files": len(files), "bytes": sum(map(_size, files))}


def _arrives(peer: Peer) -> str:
    """Whether the event of a short process arrives, or only that of one that lives on."""
    if not peer.adapter.SENDS:
        return NOT_APPLICABLE
    with ground() as on, answering(peer.adapter.answer) as there:
        run(peer, "whole", there.url, on)
        if _has_arrived(peer, there, on):
            return "from a short process"
    with ground() as on, answering(peer.adapter.answer) as there:
        process = Process(peer, "whole", there.url, on, held=True)
        arrived = _wait(lambda: _arrived(peer, there) > 0, LIFE_S)
        process.release()
        process.wait()
        return "while the process lives" if arrived else "later"


def _killed(peer: Peer) -> str:
    """Of several kills: lost where it was lost once, for some lose a race with their own thread only now and then."""
    for _ in range(KILLS):
        if (found := _kill(peer)) == LOST:
            break
    return found


def _kill(peer: Peer) -> str:
    """SIGKILL as soon as `record` has returned: sent by then, kept for the next process, or lost."""
    with ground() as on, answering(peer.adapter.answer) as there:
        run(peer, "killed", there.url, on)
        if _has_arrived(peer, there, on):
            return SENT
        if _stored(peer, on):
            return KEPT
        run(peer, "later", there.url, on)
        return KEPT if _has_arrived(peer, there, on) else LOST


def _offline(peer: Peer) -> str:
    """Recorded while nothing listens, the process ends; then something does, and the next process has its turn."""
    with ground() as on:
        with refusing() as nobody:
            run(peer, "whole", nobody.url, on)
            settle(on)
        with answering(peer.adapter.answer, nobody.port) as there:
            kept = _stored(peer, on)
            run(peer, "later", there.url, on)
            if _has_arrived(peer, there, on):
                return SENT
            return KEPT if kept else LOST


def _together(peer: Peer) -> int:
    """Of the events of two processes at once, how many arrived, or are in the store that both share."""
    with ground() as on, answering(peer.adapter.answer) as there:
        processes = [Process(peer, "many", there.url, on, tag, TOGETHER) for tag in range(2)]
        for ran in [process.wait() for process in processes]:
            if ran.code:
                raise Failed(reason(ran))
        settle(on)
        return max(_arrived(peer, there), _stored(peer, on))


def _opted_out(peer: Peer) -> dict[str, Any] | str:
    """An event waits, its owner opts out, and one more process runs: what is still there, and what arrives."""
    if not can_opt_out(peer.adapter):
        return NOT_APPLICABLE
    with ground() as on:
        _clear(peer)
        with refusing() as nobody:
            run(peer, "whole", nobody.url, on)
            settle(on)
        before = len(_files_of(peer, on))
        with answering(peer.adapter.answer, nobody.port) as there:
            run(peer, "opted_out", there.url, on)
            settle(on)
            files = _files_of(peer, on)
            return {
                "files_before": before,
                "files": len(files),
                "bytes": sum(map(_size, files)),
                "events_kept": _stored(peer, on),
                "events_sent": _arrived(peer, there),
            }


TESTS: dict[str, Callable[[Peer], Any]] = {
    "arrives": _arrives,
    "killed": _killed,
    "offline": _offline,
    "together": _together,
    "opted_out": _opted_out,
}


def can_opt_out(adapter: Adapter) -> bool:
    """Whether it documents a way to opt out."""
    return bool(adapter.OPT_OUT) or type(adapter).opt_out is not Adapter.opt_out


def _try(test: Callable[[Peer], Any], peer: Peer) -> Any:
    try:
        return test(peer)
    except Failed as error:
        return {"error": str(error)}


def _arrived(peer: Peer, there: Endpoint) -> int:
    return peer.adapter.arrived(list(there.requests))


def _has_arrived(peer: Peer, there: Endpoint, on: Ground) -> bool:
    """When nothing that the peer has started is at work any more."""
    settle(on)
    return _arrived(peer, there) > 0


def _stored(peer: Peer, on: Ground) -> int:
    """Asked by a process of its own: opening a store can change it."""
    if type(peer.adapter).stored is Adapter.stored:
        return 0
    return int(run(peer, "stored", "http://127.0.0.1:9", on).report["stored"])


def _wait(is_so: Callable[[], bool], patience_s: float) -> bool:
    end = time.monotonic() + patience_s
    while not (so := is_so()) and time.monotonic() < end:
        time.sleep(0.05)
    return so


def _files(folder: Path) -> set[Path]:
    """But for bytecode, which Python writes when it likes to."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts and path.is_file()}


def _files_of(peer: Peer, on: Ground) -> set[Path]:
    outside = peer.adapter.OUTSIDE
    return _files(on.home) | (set(Path(peer.python).parents[1].glob(outside)) if outside else set())


def _clear(peer: Peer) -> None:
    """What an earlier process of the peer has left in its environment."""
    if peer.adapter.OUTSIDE:
        for path in Path(peer.python).parents[1].glob(peer.adapter.OUTSIDE):
            path.unlink()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
