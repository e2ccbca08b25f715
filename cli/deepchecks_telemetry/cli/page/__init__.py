"""The picture that `view` shows: facts are read once, drawn by small pure functions, and every text is escaped.

facts   what is read          chart    counts over time          counts    by day, event, environment
html    what is escaped       way      where data goes           requests  the next one, and the ledger
page    the document, with the policy that lets it load nothing
"""
