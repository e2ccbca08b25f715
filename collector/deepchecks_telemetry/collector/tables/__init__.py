"""The tables of the store.

schema      the tables and views, with their reasons
sums        the sums that a report reads, updated with every batch of rows
migration   brings the store of an earlier release to this schema
"""
