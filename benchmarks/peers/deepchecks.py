"""deepchecks 0.19.1's own call: a request in the importing thread, with three seconds of patience, once an import.

Its module is loaded without the rest of the library, so what is measured is the telemetry and not deepchecks.
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
        where = url.removeprefix("http://")
        # The server's name is written in its code: here every name is the endpoint, in the clear.
        http.client.HTTPSConnection = lambda _, timeout: http.client.HTTPConnection(where, timeout=timeout)  # type: ignore[assignment,misc]

    def record(self, event: str) -> None:
        from deepchecks.analytics.anonymous_telemetry import validate_latest_version

        validate_latest_version()

    def arrived(self, requests: list[bytes]) -> int:
        return len(requests)

    def answer(self, path: str, url: str) -> bytes:
        return b"True"
