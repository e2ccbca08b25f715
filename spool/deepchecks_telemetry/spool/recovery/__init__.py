"""Migrates spools and recovers damaged ones, outside the host only.

maintenance   `with_maintenance`: migrates and recovers before a command reads or changes the spool
migrations    additive changes of the schema
damaged_copy  reads what can be read of a damaged spool
recover       adds it to the new spool, once
hard_links    gives a spool its own file again after a backup by hard links
"""
