"""One request: the URL, the body, the TLS trust, the POST, and what the answer means."""
