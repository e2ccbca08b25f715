"""The SQLite file: its schema, its connections, its locks, and the compaction of raw events."""
