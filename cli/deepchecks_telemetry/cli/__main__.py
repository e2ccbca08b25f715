"""`python -m deepchecks_telemetry.cli`: the same as the console script `deepchecks`."""

from deepchecks_telemetry.cli import main

if __name__ == "__main__":
    main()
