#!/bin/sh
# TaskProlog of slurm.conf: each line "export NAME=value" that it prints is set in the environment of the task.
echo "export DEEPCHECKS_TELEMETRY=local"
