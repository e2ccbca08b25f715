"""Weights & Biases, offline: a separate process writes a log, which a person sends later with `wandb sync`."""

# ruff: noqa: ARG002
# mypy: disable-error-code="import-not-found,import-untyped"

from benchmarks.peers import NAMED, Adapter


class Peer(Adapter):
    NAME = "wandb, offline"
    DISTRIBUTION = "wandb"
    OPT_OUT = "WANDB_MODE=disabled"
    SENDS = False

    def environ(self, url: str, folder: str) -> dict[str, str]:
        return {"WANDB_MODE": "offline", "WANDB_DIR": folder, "WANDB_BASE_URL": url}

    def setup(self, url: str, folder: str) -> None:
        import wandb

        self.run = wandb.init(project="benchmark", settings=wandb.Settings(console="off", silent=True))

    def record(self, event: str) -> None:
        self.run.log({"event": event})

    def stored(self, folder: str) -> int:
        import re
        from pathlib import Path

        logs = [path.read_bytes() for path in Path(folder).rglob("*.wandb")]
        return len({name for log in logs for name in re.findall(NAMED, log)})
