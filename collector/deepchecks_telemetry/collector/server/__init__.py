"""The HTTP server of the embedded collector.

app            the application: OTLP/HTTP requests and responses
limits         limits of memory
writer         stores the rows of many requests in one transaction
slow_clients   deadlines and the limit of connections
request_log    a line per request, without the address of the sender
serve          runs the server in this process or in a child
"""
