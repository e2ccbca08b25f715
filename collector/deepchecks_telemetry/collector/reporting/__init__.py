"""The report over the store: the queries, suppression of small counts, text, CSV and HTML."""
