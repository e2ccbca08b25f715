"""The report of a collector for people: as text, and as a page with charts.

text     the text for a terminal
page     the HTML page
charts   its charts, drawn by leather
tables   its tables: retention, fields, pairs of fields
"""
