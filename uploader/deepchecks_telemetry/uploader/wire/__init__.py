"""One request: from the rows of a batch to the outcome of the response.

url       which URLs are valid endpoints
otlp      renders rows as an OTLP/HTTP JSON body
tls       trust store, adapters for requests, causes of TLS errors
http      one POST within one deadline
outcome   classifies a response
causes    the phrases for failures, and what to do
"""
