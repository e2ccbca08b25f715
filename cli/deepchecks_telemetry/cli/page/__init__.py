"""The command `view` and its HTML page: data is read once, rendered by pure functions, and every text is escaped.

data    what is read          chart    counts over time          counts    by day, event, environment
html    escaping              sending  where counts are sent     requests  the next request, and the batches
page    the document, with the policy that lets it load nothing
"""
