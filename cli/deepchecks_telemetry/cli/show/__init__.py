"""The commands that only read.

status      whether telemetry is on, why, and what is pending
inspect     counts that are not sent yet, events, or the rows of a query
preview     the exact body of the next request
sent        all batches with their outcome, or the exact body of one
catalogue   everything that can be recorded or sent
doctor      checks, each with its remedy
explain     the sources of the mode and of the endpoint, for `status`
query       runs the queries of `inspect`
"""
