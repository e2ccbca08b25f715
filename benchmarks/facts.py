"""Tests for each peer what remains after an event, and whether the event survives."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.endpoints import Endpoint, answering, refusing
from benchmarks.peers import Adapter
from benchmarks.processes import Failed, Peer, Process, Workspace, new_workspace, reason, run, settle
from benchmarks.timing import Effort

LIFE_S = 20.0  # of a process that is kept running until its event has arrived
TOGETHER = 500  # events of each of two processes
KILLS = 5
SENT, KEPT, LOST = "sent", "kept", "lost"
NOT_APPLICABLE = "not applicable"


def measure_left(peers: list[Peer], _: Effort) -> dict[str, dict[str, Any]]:
    return {peer.name: _try(_left, peer) for peer in peers}


def measure_facts(peers: list[Peer], effort: Effort) -> dict[str, dict[str, Any]]:
    return {peer.name: {name: _try(TESTS[name], peer) for name in effort.facts} for peer in peers}


def _left(peer: Peer) -> dict[str, Any]:
    """What one delivered event leaves in the host and on the disk, in the home and in the environment."""
    environment = Path(peer.python).parents[1]
    with new_workspace() as workspace, answering(peer.adapter.answer) as server:
        _clear(peer)
        before = _files(environment)
        result = run(peer, "left", server.url, workspace)
        if not result.report:
            raise Failed(reason(result))
        settle(workspace)
        files = [*_files(workspace.home), *(_files(environment) - before)]
        return {**result.report, "files": len(files), "bytes": sum(map(_size, files))}


def _arrives(peer: Peer) -> str:
    """Whether the event of a short process arrives, or only that of a long one."""
    if not peer.adapter.SENDS:
        return NOT_APPLICABLE
    with new_workspace() as workspace, answering(peer.adapter.answer) as server:
        run(peer, "whole", server.url, workspace)
        if _has_arrived(peer, server, workspace):
            return "from a short process"
    with new_workspace() as workspace, answering(peer.adapter.answer) as server:
        process = Process(peer, "whole", server.url, workspace, held=True)
        arrived = _wait(lambda: _arrived(peer, server) > 0, LIFE_S)
        process.release()
        process.wait()
        return "while the process lives" if arrived else "later"


def _killed(peer: Peer) -> str:
    """The result of several kills: lost if lost once, because some peers lose events only sometimes (a race)."""
    for _ in range(KILLS):
        if (result := _kill(peer)) == LOST:
            break
    return result


def _kill(peer: Peer) -> str:
    """SIGKILL as soon as `record` has returned: sent by then, kept for the next process, or lost."""
    with new_workspace() as workspace, answering(peer.adapter.answer) as server:
        run(peer, "killed", server.url, workspace)
        if _has_arrived(peer, server, workspace):
            return SENT
        if _stored(peer, workspace):
            return KEPT
        run(peer, "later", server.url, workspace)
        return KEPT if _has_arrived(peer, server, workspace) else LOST


def _offline(peer: Peer) -> str:
    """An event is recorded while nothing listens; later a server listens, and another process runs."""
    with new_workspace() as workspace:
        with refusing() as closed:
            run(peer, "whole", closed.url, workspace)
            settle(workspace)
        with answering(peer.adapter.answer, closed.port) as server:
            kept = _stored(peer, workspace)
            run(peer, "later", server.url, workspace)
            if _has_arrived(peer, server, workspace):
                return SENT
            return KEPT if kept else LOST


def _together(peer: Peer) -> int:
    """The number of events of two concurrent processes that arrived, or are in their shared store."""
    with new_workspace() as workspace, answering(peer.adapter.answer) as server:
        processes = [Process(peer, "many", server.url, workspace, tag, TOGETHER) for tag in range(2)]
        for result in [process.wait() for process in processes]:
            if result.code:
                raise Failed(reason(result))
        settle(workspace)
        return max(_arrived(peer, server), _stored(peer, workspace))


def _opted_out(peer: Peer) -> dict[str, Any] | str:
    """An event is pending, the user opts out, and another process runs: what remains, and what arrives."""
    if not can_opt_out(peer.adapter):
        return NOT_APPLICABLE
    with new_workspace() as workspace:
        _clear(peer)
        with refusing() as closed:
            run(peer, "whole", closed.url, workspace)
            settle(workspace)
        before = len(_files_of(peer, workspace))
        with answering(peer.adapter.answer, closed.port) as server:
            run(peer, "opted_out", server.url, workspace)
            settle(workspace)
            files = _files_of(peer, workspace)
            return {
                "files_before": before,
                "files": len(files),
                "bytes": sum(map(_size, files)),
                "events_kept": _stored(peer, workspace),
                "events_sent": _arrived(peer, server),
            }


TESTS: dict[str, Callable[[Peer], Any]] = {
    "arrives": _arrives,
    "killed": _killed,
    "offline": _offline,
    "together": _together,
    "opted_out": _opted_out,
}


def can_opt_out(adapter: Adapter) -> bool:
    """Whether the peer documents a way to opt out."""
    return bool(adapter.OPT_OUT) or type(adapter).opt_out is not Adapter.opt_out


def _try(test: Callable[[Peer], Any], peer: Peer) -> Any:
    try:
        return test(peer)
    except Failed as error:
        return {"error": str(error)}


def _arrived(peer: Peer, server: Endpoint) -> int:
    return peer.adapter.arrived(list(server.requests))


def _has_arrived(peer: Peer, server: Endpoint, workspace: Workspace) -> bool:
    """Whether the event has arrived when no process of the peer is running any more."""
    settle(workspace)
    return _arrived(peer, server) > 0


def _stored(peer: Peer, workspace: Workspace) -> int:
    """The number of stored events, read in a separate process, because opening a store can change it."""
    if type(peer.adapter).stored is Adapter.stored:
        return 0
    return int(run(peer, "stored", "http://127.0.0.1:9", workspace).report["stored"])


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not (fulfilled := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return fulfilled


def _files(folder: Path) -> set[Path]:
    """All files except bytecode, which Python may write at any time."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts and path.is_file()}


def _files_of(peer: Peer, workspace: Workspace) -> set[Path]:
    outside = peer.adapter.OUTSIDE
    return _files(workspace.home) | (set(Path(peer.python).parents[1].glob(outside)) if outside else set())


def _clear(peer: Peer) -> None:
    """Remove what an earlier process of the peer left in its environment."""
    if peer.adapter.OUTSIDE:
        for path in Path(peer.python).parents[1].glob(peer.adapter.OUTSIDE):
            path.unlink()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
