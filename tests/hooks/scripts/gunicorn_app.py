"""A web application that imports deepchecks and runs a check at each request; it reports its start on a pipe."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from deepchecks_telemetry.hooks import attach

attach()
from deepchecks.tabular.base_checks import SingleDatasetCheck  # noqa: E402

os.write(int(os.environ["STARTED"]), b".")


def app(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond with the result of a check."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [SingleDatasetCheck().run().encode()]
