"""Appends events in the host: one SQL statement for each event.

record       `record`, and `access` for the check whether an upload is due
writer       `Writer.append`: back-off, drops, compaction
session      an immutable `Session`: opened completely or not at all
watch        what has changed since the last check: settings, file, day, size of the WAL
guard        the thread lock, which survives an exception from a signal handler
process      state that exists once per process: guard, session, fork hooks
descriptors  marks and checks SQLite's file descriptors
connections  keeps the connection open until the process has ended
"""
