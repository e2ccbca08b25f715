"""What telemetry costs its host, ours and everyone's, measured side by side in one run: `python -m benchmarks`.

A map, in the order of a run:

requirements.txt  the peers and their versions      environments  an environment for each
apart             a network with loopback only      endpoints     what answers there, refuses, is silent
peers/            one adapter for each peer         child         one process of a peer
processes         starting it, ending it            timing        how long: a record, a start, a process
facts             what is left, what survives       ours/         what ours alone costs
measuring         all of it as one document         machine       where it was measured
budgets           what we are held to, as ratios    tables, alone, chart   the page, from the figures only

Beside it, on their own: record.py, attach.py, collector.py, fleet.py.
"""
