"""The append in the host program: one SQL statement for each event."""
