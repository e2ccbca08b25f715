"""What telemetry costs its host, ours and everyone's, measured side by side in one run: `python -m benchmarks`.

A map, in the order of a run:

requirements.txt  the peers and their versions      environments  an environment for each
peers/            one adapter for each              endpoints     what they talk to: it answers, refuses, is silent
child             one process of a peer             processes     starting it, timing it, ending it
timing            how long: record, start, exit     facts         what is left, what survives: tested
ours/             ours alone                        budgets       what we are held to, as ratios
tables, chart     the page and the picture, from the figures only
"""
