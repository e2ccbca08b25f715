"""Why a try failed, as one short phrase that is stored with the batch, and what a person can do about it.

A phrase of ours, never a server's or a library's own text: those can hold addresses, paths and passwords.
"""

from deepchecks_telemetry.spool.batches.queue import DAMAGED

SET_HEADERS = "deepchecks telemetry enable --endpoint URL --headers FILE (a policy's is in its own file)"
AUTOMATIC = "nothing has to be done: it is tried again automatically"

TIMEOUT = "timeout"
UNKNOWN_HOST = "unknown host"
REFUSED = "connection refused"
NO_CONNECTION = "no connection"
CUT_SHORT = "the response was cut short"
TOO_LONG = "the response is too long"
UNTRUSTED = "the certificate is not signed by a trusted authority"
EXPIRED = "the certificate is expired or not valid yet"
OTHER_HOST = "the certificate is for another host"
NO_TLS = "the TLS handshake failed"
PROXY = "the proxy refused the connection"
NO_SOCKS = "a SOCKS proxy is set, but PySocks is not installed"
NO_CA_FILE = "the file with CA certificates cannot be read"
NOT_LOOPBACK = "localhost does not lead to this machine"
NO_FOLDER = "the directory cannot be written"
NOT_OTLP = "not an OTLP response"
REDIRECT = "a redirect, which is not followed"
NOT_SENT = "the request could not be sent"
UNKNOWN_CONTENT = "it holds what this version does not know"

HTTP = {
    400: ("the request was refused without an OTLP Status", "check that the endpoint is an OTLP/HTTP receiver"),
    401: (
        "credentials are missing or wrong",
        f"give the receiver's token: {SET_HEADERS}",
    ),
    403: (
        "access is denied",
        f"ask the operator of the receiver for access, or correct the token: {SET_HEADERS}",
    ),
    404: (
        "there is no OTLP logs receiver at this path",
        "correct the path of the endpoint, to which /v1/logs is appended",
    ),
    405: ("POST is not accepted at this path", "correct the path of the endpoint, to which /v1/logs is appended"),
    407: ("a proxy asks for credentials", "set HTTPS_PROXY (or HTTP_PROXY) to http://USER:PASSWORD@HOST:PORT"),
    408: ("the server timed out", AUTOMATIC),
    413: (
        "the request is larger than the receiver accepts",
        "ask the operator of the receiver to accept requests of 1 MB, then run: deepchecks telemetry flush",
    ),
    415: ("OTLP/JSON is not accepted", "put an OpenTelemetry Collector in front of the receiver: it accepts OTLP/JSON"),
    429: ("too many requests", AUTOMATIC),
    500: ("an error of the server", "ask the operator of the receiver, then run: deepchecks telemetry flush"),
    502: ("the gateway does not reach the receiver", AUTOMATIC),
    503: ("the receiver is not available", AUTOMATIC),
    504: ("the gateway does not reach the receiver", AUTOMATIC),
    511: ("the network asks for a log-in", "log in to the network in a browser, then run: deepchecks telemetry flush"),
}

REMOVE_SPOOL = "these counts cannot be sent; deepchecks telemetry disable removes them, with the whole spool"

REMEDIES = {
    TIMEOUT: "check the network and any firewall or proxy (HTTPS_PROXY, NO_PROXY)",
    UNKNOWN_HOST: "check the host name in the endpoint, the network and its DNS",
    REFUSED: "check that the receiver is running, and the port of the endpoint",
    NO_CONNECTION: "check the network and any firewall or proxy (HTTPS_PROXY, NO_PROXY)",
    CUT_SHORT: AUTOMATIC,
    TOO_LONG: "check that the endpoint is an OTLP/HTTP receiver",
    UNTRUSTED: "name the file with your organisation's CA certificate in REQUESTS_CA_BUNDLE, or add it to the system",
    EXPIRED: "check the clock of this machine, or ask the operator of the receiver to renew its certificate",
    OTHER_HOST: "correct the host name in the endpoint: it has to be one that the certificate names",
    NO_TLS: "check whether the receiver speaks http:// rather than https://",
    PROXY: "check HTTPS_PROXY (or HTTP_PROXY) and its password, or exempt the host in NO_PROXY",
    NO_SOCKS: "run pip install PySocks in this environment, or set an HTTP proxy in HTTPS_PROXY",
    NO_CA_FILE: "correct or unset REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE",
    NOT_LOOPBACK: "use 127.0.0.1 or [::1] in the endpoint, or correct the entry localhost in the system's hosts file",
    NO_FOLDER: "check that the directory exists and that you may write there",
    NOT_OTLP: "if this network asks for a log-in, log in with a browser; else check that this is an OTLP/HTTP receiver",
    REDIRECT: "set the endpoint to the URL that it redirects to; if this network asks for a log-in, log in first",
    DAMAGED: REMOVE_SPOOL,
    UNKNOWN_CONTENT: "run the newest version: pip install --upgrade deepchecks-telemetry",
}
GENERAL = "check the endpoint, or ask the operator of the receiver"


def http_reason(status: int) -> str:
    """The phrase for an answer that does not end the batch's way."""
    if 200 <= status < 300:
        return f"HTTP {status}: {NOT_OTLP}"
    if 300 <= status < 400:
        return f"HTTP {status}: {REDIRECT}"
    return f"HTTP {status}: {HTTP[status][0]}" if status in HTTP else f"HTTP {status}"


def remedy_for(reason: str) -> str:
    """What to do about a phrase of this module, also one that was stored by an earlier try."""
    status, _, why = reason.removeprefix("HTTP ").partition(":")
    if status.isascii() and status.isdigit() and int(status[:4]) in HTTP:
        return HTTP[int(status[:4])][1]
    return REMEDIES.get(why.strip() or reason, GENERAL)
