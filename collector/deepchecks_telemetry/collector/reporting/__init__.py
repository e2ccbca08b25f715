"""The report on a store, in which small counts can be suppressed.

query         reads the counts from the store
suppression   merges small counts, and computes confidence intervals
text          escapes stored text for terminals and spreadsheets
csv           the report as CSV
html          the report as HTML
"""
