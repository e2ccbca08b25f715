"""The command `view` and its HTML page: data is read once, rendered by pure functions, and every text is escaped.

view       the command
data       reads everything that the page shows
page       the document, with the policy that lets it load nothing
sending    where counts are sent, the settings, the commands
counts     counts over time, by month, by event, by environment
chart      counts over time as SVG
requests   the next request, the batches, the attempts that failed
"""
