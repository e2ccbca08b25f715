"""The report on a store, in which small counts can be rounded.

options       the range, the filter and the minimum of a report
query         reads the report from the store
history       new, returned and lost installations by period, versions, retention
composition   counts by field, by pair of fields, and the funnel
rounding      rounds small counts, so that no difference between reports shows a small group
groups        the rows of a range and a filter as the groups that the store keeps
wording       sentences and orders that all forms have in common
text          escapes stored text for terminals and spreadsheets
csv           the report as CSV
"""
