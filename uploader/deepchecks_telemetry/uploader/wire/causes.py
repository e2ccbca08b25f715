"""The phrases for failures, one of which is stored with each failed batch, and what a person can do about them.

The text of a server or a library is never stored, because it can contain addresses, paths and passwords.
"""

from deepchecks_telemetry.spool.batches.queue import DAMAGED

SET_HEADERS = "deepchecks telemetry enable --endpoint URL --headers FILE (for a policy: in the policy's endpoint file)"
AUTOMATIC = "no action needed, it is retried automatically"

TIMEOUT = "timeout"
UNKNOWN_HOST = "unknown host"
REFUSED = "connection refused"
NO_CONNECTION = "no connection"
CUT_SHORT = "the response is truncated"
TOO_LONG = "the response is too long"
UNTRUSTED = "the certificate is not signed by a trusted authority"
EXPIRED = "the certificate is expired or not valid yet"
OTHER_HOST = "the certificate is for another host"
NO_TLS = "the TLS handshake failed"
PROXY = "the proxy refused the connection"
NO_SOCKS = "a SOCKS proxy is set, but PySocks is not installed"
NO_CA_FILE = "the file with CA certificates cannot be read"
NOT_LOOPBACK = "localhost does not resolve to this machine"
NO_FOLDER = "the directory cannot be written"
NOT_OTLP = "not an OTLP response"
REDIRECT = "redirects are not followed"
NOT_SENT = "the request could not be sent"
UNKNOWN_CONTENT = "the batch contains data that this version does not know"

HTTP = {
    400: ("the request was refused without an OTLP Status", "check that the endpoint is an OTLP/HTTP receiver"),
    401: (
        "credentials are missing or wrong",
        f"set the receiver's token: {SET_HEADERS}",
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
    407: ("the proxy requires credentials", "set HTTPS_PROXY (or HTTP_PROXY) to http://USER:PASSWORD@HOST:PORT"),
    408: ("the server timed out", AUTOMATIC),
    413: (
        "the request is larger than the receiver accepts",
        "ask the operator of the receiver to accept requests of 1 MB, then run: deepchecks telemetry flush",
    ),
    415: ("OTLP/JSON is not accepted", "put an OpenTelemetry Collector in front of the receiver: it accepts OTLP/JSON"),
    429: ("too many requests", AUTOMATIC),
    500: ("internal server error", "ask the operator of the receiver, then run: deepchecks telemetry flush"),
    502: ("the gateway cannot reach the receiver", AUTOMATIC),
    503: ("the receiver is not available", AUTOMATIC),
    504: ("the gateway cannot reach the receiver", AUTOMATIC),
    511: ("the network requires a login", "log in to the network in a browser, then run: deepchecks telemetry flush"),
}

REMOVE_SPOOL = "these counts cannot be sent; deepchecks telemetry disable wipes them, with the whole spool"

REMEDIES = {
    TIMEOUT: "check the network and any firewall or proxy (HTTPS_PROXY, NO_PROXY)",
    UNKNOWN_HOST: "check the host name in the endpoint, the network and its DNS",
    REFUSED: "check that the receiver is running, and the port of the endpoint",
    NO_CONNECTION: "check the network and any firewall or proxy (HTTPS_PROXY, NO_PROXY)",
    CUT_SHORT: AUTOMATIC,
    TOO_LONG: "check that the endpoint is an OTLP/HTTP receiver",
    UNTRUSTED: "set REQUESTS_CA_BUNDLE to your organisation's CA certificate file, or add it to the system trust store",
    EXPIRED: "check the clock of this machine, or ask the operator of the receiver to renew its certificate",
    OTHER_HOST: "correct the host name in the endpoint to one that the certificate names",
    NO_TLS: "check whether the receiver expects http:// instead of https://",
    PROXY: "check HTTPS_PROXY (or HTTP_PROXY) and its password, or exempt the host in NO_PROXY",
    NO_SOCKS: "run pip install PySocks in this environment, or set an HTTP proxy in HTTPS_PROXY",
    NO_CA_FILE: "correct or unset REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE",
    NOT_LOOPBACK: "use 127.0.0.1 or [::1] in the endpoint, or correct the entry localhost in the system's hosts file",
    NO_FOLDER: "check that the directory exists and that you can write to it",
    NOT_OTLP: "if this network requires a login, log in with a browser; else check that this is an OTLP/HTTP receiver",
    REDIRECT: "set the endpoint to the URL that it redirects to; if this network requires a login, log in first",
    DAMAGED: REMOVE_SPOOL,
    UNKNOWN_CONTENT: "upgrade: pip install --upgrade deepchecks-telemetry",
}
DEFAULT_REMEDY = "check the endpoint, or ask the operator of the receiver"


def http_reason(status: int) -> str:
    """The phrase for a response after which the batch is neither delivered nor rejected."""
    if 200 <= status < 300:
        return f"HTTP {status}: {NOT_OTLP}"
    if 300 <= status < 400:
        return f"HTTP {status}: {REDIRECT}"
    return f"HTTP {status}: {HTTP[status][0]}" if status in HTTP else f"HTTP {status}"


def remedy_for(reason: str) -> str:
    """What to do about a phrase of this module, also one that was stored with a batch."""
    status, _, why = reason.removeprefix("HTTP ").partition(":")
    if status.isascii() and status.isdigit() and int(status[:4]) in HTTP:
        return HTTP[int(status[:4])][1]
    return REMEDIES.get(why.strip() or reason, DEFAULT_REMEDY)
