"""The tables of the store.

schema      the tables and views, with their reasons
ids         values that are stored once
periods     weeks and months as numbers of days
growth      first weeks, last versions and returns of installations
sums        the sums that a report reads, updated with every batch of rows
migration   brings the store of an earlier release to this schema
"""
