"""Files and directories of the spool: where they are, whose they are, and how they are written."""
