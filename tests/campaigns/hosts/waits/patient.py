"""A host that records while another program may hold the spool.

    python -m ... TIMES SECONDS

It records so many events, evenly over so many seconds, and measures how long it was kept in `record()` altogether.
"""

from importlib import import_module

from tests.campaigns.hosts.program import Clock, Journal, Stopwatch, run_host


def main(journal: Journal, times: str, seconds: str) -> None:
    """Record and rest in turn."""
    import_module("deepchecks_telemetry.spool")  # so that its import is not measured
    for _ in range(int(times)):
        watch = Stopwatch()
        journal.count("stored", journal.once())
        journal.count("waited_ms", watch.ms())
        Clock.sleep(float(seconds) / int(times))


if __name__ == "__main__":
    run_host(main)
