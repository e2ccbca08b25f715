"""Measures what telemetry costs its host, for this package and others in one run: `python -m benchmarks`.

In the order of a run (requirements.txt has the peers and their versions):

environments   creates a virtual environment for each peer
network        a network namespace with only a loopback device
endpoints      servers that respond, refuse or are silent
peers/         one adapter for each peer
child          runs in one process of a peer
processes      starts and ends these processes
timing         times of a record, a start, a whole process
facts          what remains after an event, and what survives
ours/          figures of this package only
measuring      all measures as one document
machine        describes the machine
gotelemetry    this package beside Go's own telemetry; go/ has the program
budgets        limits of ratios
summary        the first lines of docs/performance.md
tables         its tables that compare the peers
own_tables     its tables of this package only
chart          its chart

Separate scripts: record.py, attach.py, collector.py, fleet.py.
"""
