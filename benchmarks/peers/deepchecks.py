"""deepchecks 0.19.1's own request: in the importing thread, with a timeout of three seconds, at each import.

Its module is imported without the rest of the library, so that only the telemetry is measured.
"""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "deepchecks 0.19.1's own call"
    DISTRIBUTION = "deepchecks"
    OUTSIDE = "lib/python*/site-packages/deepchecks/.user_id"
    OPT_OUT = "DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY=true"

    def setup(self, url: str, folder: str) -> None:
        import http.client
        import sys
        from importlib.metadata import distribution
        from types import ModuleType

        library = ModuleType("deepchecks")
        library.__path__ = [str(distribution("deepchecks").locate_file("deepchecks"))]
        library.__version__ = distribution("deepchecks").version  # type: ignore[attr-defined]
        sys.modules["deepchecks"] = library
        address = url.removeprefix("http://")
        # Its code contains the name of the server, so every connection is redirected to the endpoint, without TLS.
        http.client.HTTPSConnection = lambda _, timeout: http.client.HTTPConnection(address, timeout=timeout)  # type: ignore[assignment,misc]

    def record(self, event: str) -> None:
        from deepchecks.analytics.anonymous_telemetry import validate_latest_version

        validate_latest_version()

    def arrived(self, requests: list[bytes]) -> int:
        return len(requests)

    def answer(self, path: str, url: str) -> bytes:
        return b"True"
