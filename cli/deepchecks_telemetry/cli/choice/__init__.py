"""The commands that turn telemetry on or off: `enable`, `local`, `disable`, `purge`."""
