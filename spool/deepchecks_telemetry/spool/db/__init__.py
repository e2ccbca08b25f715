"""Creates, opens, checks, compacts and empties the SQLite file of the spool.

schema         the tables with their reasons
schema_guard   refuses a schema with anything but plain tables and indexes; limits SQLite's steps
sqlite_errors  SQLite's errors as the spool's own
busy           waiting for SQLite's locks; write transactions
create         builds a spool under a temporary name and renames it
connection     the checks before a spool is opened; `opened` for commands
compaction     folding and checkpoints
emptying       closes the fence, deletes all rows; drops the unsent events of a copy
origin         detects a copy of a spool
"""
