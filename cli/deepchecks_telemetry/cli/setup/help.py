"""`help`: the environment variables and the files of this package, from tables that docs/for-auditors.md prints too."""

import os
import tempfile
from typing import NamedTuple

import click

from deepchecks_telemetry.cli.errors import CliError
from deepchecks_telemetry.cli.output import echo_table
from deepchecks_telemetry.spool.batches.export_files import find_ledger
from deepchecks_telemetry.spool.files.paths import Home, find_home


class File(NamedTuple):
    """A file of ours: a path (names in capitals are those of `directories` or arguments), mode, content, lifetime."""

    path: str
    mode: str
    content: str
    until: str


class Variable(NamedTuple):
    """An environment variable that this package reads, and its effect."""

    name: str
    effect: str


UNTIL_COMMAND = "the next command or upload; disable"
UNLESS_CHANGED, YOU = "disable, if unchanged and not moved", "you delete it"
WHILE_CHANGED = "SQLite's: a change in progress"
# For the documentation; the command prints the directories of the system that it runs on.
ON_LINUX = Home(
    "~/.local/state/deepchecks/telemetry", "~/.config/deepchecks/telemetry", "/etc/xdg/deepchecks/telemetry"
)
FILES = (
    File("STATE/spool.db", "0600", "counts, batches, the installation identifier", "emptied by disable; purge"),
    File("STATE/spool.db-wal", "0600", "SQLite's: the last changes of spool.db", "emptied by disable; purge"),
    File("STATE/spool.db-shm", "0600", "SQLite's: an index of spool.db-wal", "emptied by disable; purge"),
    File("STATE/spool.db-journal", "0600", f"{WHILE_CHANGED}, if the disk is not known to be local", "the change ends"),
    File("STATE/spool.lock", "0600", "empty; a lock", "purge"),
    File("STATE/upload.lock", "0600", "empty; a lock", "purge"),
    File("STATE/exports.jsonl", "0600", "paths and SHA-256 of exported files", "disable"),
    File("STATE/exports.jsonl.*.new", "0600", "exports.jsonl while it is written", "the command ends; disable"),
    File("STATE/spool.db.new", "0600", "a spool that is being created", "the next record; disable"),
    File("STATE/spool.db.damaged-*", "0600", "a damaged spool", UNTIL_COMMAND),
    File("STATE/spool.db.linked-*", "0600", "a spool that a backup has linked", UNTIL_COMMAND),
    File("STATE/spool.db.unreadable", "0600", "a spool from which nothing could be read", "disable"),
    File("STATE/spool.db-replaced", "0600", "empty, only on Windows: spool.db2 is used instead of spool.db", "purge"),
    File("STATE/spool.db.view.html", "0600", "the page of view", "disable"),
    File("STATE/.trial-*", "0700", "a test spool of doctor; above STATE if there is no STATE yet", "doctor ends"),
    File("CONFIG/mode", "0600", "your choice: on, local or off", YOU),
    File("CONFIG/endpoint", "0600", "a URL and headers", "purge"),
    File("CONFIG/notice", "0600", "the endpoints of libraries that were printed", "purge"),
    File("CONFIG/*.new", "0600", "mode, endpoint or notice while it is written", "the command ends; purge"),
    File("COURIER/ledger.db", "0600", "SHA-256 and outcomes of what deliver has sent", "disable"),
    File("COURIER/ledger.db-journal", "0600", WHILE_CHANGED, "the change ends; disable"),
    File("COURIER/ledger.db.lock", "0600", "empty; a lock", "purge"),
    File("POLICY/mode", "0644, root", "the administrator's mode", "the administrator deletes it"),
    File("POLICY/endpoint", "0644, root", "the administrator's URL and headers", "the administrator deletes it"),
    File("site-packages/deepchecks_telemetry_attach.pth", "umask", "one line, which attaches", "detach; purge"),
    File("TMP/deepchecks-telemetry-view-*/spool.db.view.html", "0600", "the page, if there is no STATE", "disable"),
    File("TMP/deepchecks-telemetry-tour-*", "0700", "the directory of tour", "tour ends"),
    File("DIR/deepchecks-telemetry-*.jsonl", "umask", "batches; by export DIR, or sent to file:///DIR", UNLESS_CHANGED),
    File("FILE.jsonl", "umask", "batches; by export FILE.jsonl", UNLESS_CHANGED),
    File("*.jsonl.*.part", "umask", "an exported file while it is written", "export ends; the next export; disable"),
    File("DIR/deepchecks-telemetry-receipt-*.json", "umask", "SHA-256 and outcomes; by deliver", YOU),
    File("LEDGER", "0600", "SHA-256 and outcomes; by deliver --ledger LEDGER", YOU),
    File("LEDGER.lock", "0600", "empty; a lock", YOU),
    File("PAGE", "umask", "the page; by view --output PAGE", YOU),
    File("REPORT", "0600", "paths and SHA-256; by disable --report REPORT", YOU),
    File("collector.db", "0600", "what was received; by collector --store", YOU),
    File("collector.db-*", "0600", "SQLite's: -wal, -shm or -journal", "the next serve or load ends"),
    File("collector.db.lock", "umask", "empty; a lock", YOU),
)
VARIABLES = (
    Variable("DEEPCHECKS_TELEMETRY", "on, local or off; any other text is off"),
    Variable("DO_NOT_TRACK", "1: off"),
    Variable("DEEPCHECKS_TELEMETRY_ENDPOINT", "the URL to send to, unless the policy has one"),
    Variable("DEEPCHECKS_TELEMETRY_DIR", "the directory that holds STATE and CONFIG, as state/ and config/"),
    Variable("DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY", "any text: off; a variable of deepchecks itself"),
    Variable("DISABLE_LATEST_VERSION_CHECK", "any text: off; a variable of deepchecks itself"),
    Variable("DEEPCHECKS_COLLECTOR_TOKEN", "the token that collector serve requires"),
    Variable("HOME XDG_STATE_HOME XDG_CONFIG_HOME", "where STATE and CONFIG are"),
    Variable("XDG_CONFIG_DIRS", "where POLICY is, if it is not in /etc/xdg"),
    Variable("TMPDIR TEMP TMP", "where TMP is, if it is not /tmp"),
    Variable("NO_COLOR", "any text: no colours"),
    Variable("COLUMNS LINES", "the size of the terminal"),
    Variable("PAGER", "the program that shows long lists on a terminal"),
    Variable("BROWSER", "the program that opens the page of view"),
    Variable("_DEEPCHECKS_COMPLETE", "set by the shell completion: what it asks for"),
    Variable("HTTPS_PROXY HTTP_PROXY ALL_PROXY NO_PROXY", "the proxy for uploads, as for requests"),
    Variable("REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR", "the certificate authorities for uploads"),
    Variable("SSLKEYLOGFILE", "where TLS keys are logged, as for every program with Python"),
    Variable("PYTEST_CURRENT_TEST PYTEST_VERSION", "set by pytest: off, unless on is set"),
    Variable(
        "CI GITHUB_ACTIONS GITLAB_CI JENKINS_URL TRAVIS CIRCLECI TF_BUILD BUILDKITE TEAMCITY_VERSION APPVEYOR "
        "BITBUCKET_BUILD_NUMBER CODEBUILD_BUILD_ID CIRRUS_CI DRONE",
        "the recorded runtime is ci",
    ),
    Variable("COLAB_RELEASE_TAG KAGGLE_KERNEL_RUN_TYPE KAGGLE_URL_BASE", "the same: colab, kaggle"),
    Variable("DATABRICKS_RUNTIME_VERSION", "the same: databricks"),
    Variable("SM_TRAINING_ENV SAGEMAKER_APP_TYPE TRAINING_JOB_ARN", "the same: sagemaker"),
    Variable("VSCODE_PID VSCODE_CWD WSL_DISTRO_NAME WSL_INTEROP", "the same: vscode, wsl"),
    Variable("KUBERNETES_SERVICE_HOST", "the same: kubernetes"),
    Variable("container APPTAINER_CONTAINER SINGULARITY_CONTAINER", "the same: podman, container"),
)
TOPICS = ("environment", "files")


def directories(home: Home, temporary: str) -> dict[str, str]:
    """The directories that the paths of `FILES` begin with."""
    courier = os.path.dirname(find_ledger(home))
    return {"STATE": home.state, "CONFIG": home.config, "COURIER": courier, "POLICY": home.policy, "TMP": temporary}


@click.command(name="help")
@click.argument("topic", required=False)
@click.pass_context
def help(ctx: click.Context, *, topic: str | None) -> None:  # noqa: A001 - the name of the command
    """Print the help of a command, the environment variables or the files.

    TOPIC is a command, environment (every variable that is read) or files (every file, and how long it is kept).

    \b
    Examples:
      deepchecks telemetry help environment
      deepchecks telemetry help files
    """
    if topic == "environment":
        echo_table(("variable", "effect"), [(name, row.effect) for row in VARIABLES for name in row.name.split()])
    elif topic == "files":
        echo_table(("directory", "path"), list(directories(find_home(), tempfile.gettempdir()).items()))
        click.echo()
        echo_table(("file", "mode (POSIX)", "content", "until"), FILES)
    else:
        click.echo(_command_help(ctx, topic))


def _command_help(ctx: click.Context, name: str | None) -> str:
    group = ctx.parent
    assert group is not None  # noqa: S101 - for mypy; this command is in a group
    if name is None:
        return f"{group.get_help()}\n\nTopics of help: {', '.join(TOPICS)}."
    command = group.command.get_command(group, name) if isinstance(group.command, click.Group) else None
    if command is None:
        raise CliError(f"There is no command or topic {name!r}. Topics: {', '.join(TOPICS)}.")
    with click.Context(command, parent=group, info_name=name) as found:
        return command.get_help(found)
