"""`settle`: mark batches as delivered or rejected, from the receipts that `deliver` wrote."""

from collections.abc import Sequence

import click

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.output import count_text, echo_json, json_option, progress_bar
from deepchecks_telemetry.cli.transfer.files import file_errors
from deepchecks_telemetry.spool.files.paths import find_home
from deepchecks_telemetry.uploader.offline import receipt
from deepchecks_telemetry.uploader.offline.settle import Settled, settle_receipt


@click.command()
@click.argument("receipts", type=click.Path(), nargs=-1, required=True, metavar="RECEIPT...")
@json_option
def settle(*, receipts: Sequence[str], as_json: bool) -> None:
    """Read receipts, and mark their batches as delivered or rejected.

    A batch that is already delivered or rejected is not changed. Batches of other installations are skipped. Exits with
    1 if the receipts contain no batch of this installation.

    \b
    Example:
      deepchecks telemetry settle /media/stick/deepchecks-telemetry-receipt-*.json
    """
    with file_errors("What was settled stays settled."):
        entries = [entry for path in receipts for entry in receipt.read(path)]
        with progress_bar("Settling", len(entries)) as advance:
            results = settle_receipt(find_home(), entries, progress=advance)
    if as_json:
        echo_json(list(map(_as_dict, results)))
    else:
        click.echo("".join(map(_line, results)), nl=False)
    if not any(result.batch for result in results):
        raise CliError(
            "The receipt contains no batch of this installation. Run settle on the machine that exported the batches; "
            "batches that disable wiped, or that were settled long ago, are no longer stored here."
        )


def _line(result: Settled) -> str:
    if result.batch is None:
        return f"{result.entry.sha256[:12]}: skipped, unknown to this installation\n"
    outcome = result.entry.outcome if result.changed else f"already settled ({result.batch.state})"
    return f"batch {result.batch.id}: {count_text(result.batch.events, 'event')}, {outcome}\n"


def _as_dict(result: Settled) -> dict[str, object]:
    return {
        "batch": result.batch and result.batch.id,
        "sha256": result.entry.sha256,
        "outcome": result.entry.outcome,
        "settled": result.changed,
    }
