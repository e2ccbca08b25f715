"""The endpoint in force: the order of its sources; an invalid one is refused, and its text is not repeated."""

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.spool.consent.decision import CHOICE, POLICY
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import Endpoint, configure, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
from deepchecks_telemetry.uploader.setting import ATTACHED, VARIABLE
from deepchecks_telemetry.uploader.wire.url import parse

SECRET = "Bearer hush-hush"


@pytest.fixture
def folders(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "state"), str(tmp_path / "config"), str(tmp_path / "policy"))


def write(folder: str, text: str, name: str = "endpoint") -> None:
    os.makedirs(folder, exist_ok=True)
    Path(folder, name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://a.example", "https://a.example/v1/logs"),
        ("https://a.example/", "https://a.example/v1/logs"),
        ("https://a.example///", "https://a.example/v1/logs"),
        ("https://a.example/v1/logs", "https://a.example/v1/logs"),
        ("https://a.example/v1/logs/", "https://a.example/v1/logs"),
        ("https://a.example/otlp", "https://a.example/otlp/v1/logs"),
        ("https://a.example/otlp/v1/logs", "https://a.example/otlp/v1/logs"),
        ("https://a.example/v1/logs/otlp", "https://a.example/v1/logs/otlp/v1/logs"),
        ("HTTPS://a.example:4318", "https://a.example:4318/v1/logs"),
        ("https://[2001:db8::1]:4318", "https://[2001:db8::1]:4318/v1/logs"),
        ("https://203.0.114.1", "https://203.0.114.1/v1/logs"),
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/logs"),
        ("http://localhost:4318", "http://localhost:4318/v1/logs"),
        ("http://LOCALHOST", "http://LOCALHOST/v1/logs"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/logs"),
        ("http://10.1.2.3", "http://10.1.2.3/v1/logs"),
        ("http://172.16.0.1", "http://172.16.0.1/v1/logs"),
        ("http://192.168.0.1", "http://192.168.0.1/v1/logs"),
        ("http://[fd00::1]", "http://[fd00::1]/v1/logs"),
        ("http://[::ffff:10.0.0.1]", "http://[::ffff:10.0.0.1]/v1/logs"),
    ],
)
def test_a_base_url_becomes_the_url_that_is_posted_to(text: str, url: str) -> None:
    assert parse(text) == url
    assert parse(url) == url


PUBLIC = ["http://a.example", "http://8.8.8.8", "http://[2606:4700::1]", "http://[::ffff:8.8.8.8]", "http://172.32.0.1"]
WRONG = [
    "",
    "a.example",
    "//a.example",
    "https://",
    "https:///v1/logs",
    "https:a.example",
    "ftp://a.example",
    "file://srv/drop",
    "file:///",
    "file:srv",
    "file:///srv?x=hunter2",
    "javascript:alert(1)",
    "https://user@a.example",
    "https://user:hunter2@a.example",
    "https://a.example\\@b.example",
    "https://a.example?key=hunter2",
    "https://a.example/#hunter2",
    "https://a.example:port",
    "https://a.example:99999",
    "https://[::1",
    "https://[hunter2]",
    "https://a.example/a b",
    "https://a.example/\t",
    "https://a.example\r\nX-Injected: hunter2",
    "https://a.example/\x00",
    "https://a.example/\x7f",
    "https://bücher.example",
    "https://a.example/ﬁ",
]


@pytest.mark.parametrize("text", [*WRONG, *PUBLIC])
def test_an_invalid_endpoint_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadEndpoint) as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.__cause__ is None


NO_URL = "invalid endpoint: expected https://HOST, http://HOST or file:///DIR"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "https://a.example/a b",
            "invalid endpoint: it contains a space, a control or a non-ASCII character",
        ),
        (
            "https://user@a.example",
            "invalid endpoint: it contains a user name or password; use --headers FILE",
        ),
        ("https://a.example?key=1", "invalid endpoint: it contains a query or a fragment"),
        ("https://a.example/%0a", "invalid endpoint: its path contains a control character"),
        ("https://a.example:99999", "invalid endpoint: not a URL"),
        ("https://[1::2::3]", "invalid endpoint: not a URL"),
        (
            "http://a.example",
            "invalid endpoint: http:// outside loopback and private networks needs --allow-http",
        ),
        ("ftp://a.example", NO_URL),
        ("/srv/drop", NO_URL),
        ("data:/srv/drop", NO_URL),
        (f"https://a.example/{'a' * 1_983}", "invalid endpoint: longer than 2000 characters"),
    ],
)
def test_the_error_for_an_invalid_endpoint_names_the_problem(text: str, error: str) -> None:
    with pytest.raises(BadEndpoint) as caught:
        parse(text)
    assert str(caught.value) == error


def test_an_endpoint_may_have_two_thousand_characters() -> None:
    text = f"https://a.example/{'a' * 1_982}"
    assert (len(text), parse(text)) == (2_000, f"{text}/v1/logs")


@pytest.mark.parametrize("text", PUBLIC)
def test_http_outside_private_networks_must_be_allowed_explicitly(text: str) -> None:
    assert parse(text, allow_http=True) == f"{text}/v1/logs"


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: f"https://a.example{text}"))
def test_any_text_is_a_valid_endpoint_or_refused(text: str) -> None:
    try:
        url = parse(text, allow_http=True)
    except BadEndpoint:
        return
    assert url.startswith(("https://", "http://"))
    assert url.endswith("/v1/logs")
    assert url.isascii()
    assert not set(url) & set("@?# \r\n")
    assert parse(url, allow_http=True) == url


def test_the_order_of_the_sources_is_administrator_environment_user_deepchecks(folders: Home) -> None:
    environ = {VARIABLE: "https://environment.example"}
    write(folders.policy, "https://policy.example\n")
    write(folders.config, "https://user.example\n")
    attached = "https://attached.example"
    results = []
    for _ in range(5):
        endpoint = find_endpoint(folders, attached, environ)
        results.append(endpoint and (endpoint.source, endpoint.url))
        # Remove the source that was first.
        if not endpoint or endpoint.source == ATTACHED:
            attached = ""
        elif endpoint.source == VARIABLE:
            environ.clear()
        else:
            os.unlink(os.path.join(folders.policy if endpoint.source == POLICY else folders.config, "endpoint"))
    assert results == [
        (POLICY, "https://policy.example/v1/logs"),
        (VARIABLE, "https://environment.example/v1/logs"),
        (CHOICE, "https://user.example/v1/logs"),
        (ATTACHED, "https://attached.example/v1/logs"),
        None,
    ]


@pytest.mark.parametrize("blank", ["", " ", "\n", "\t \n"])
def test_a_blank_endpoint_counts_as_not_set(folders: Home, blank: str) -> None:
    write(folders.policy, blank)
    write(folders.config, blank)
    assert find_endpoint(folders, blank, {VARIABLE: blank}) is None
    endpoint = find_endpoint(folders, " https://attached.example ", {VARIABLE: blank})
    assert endpoint == Endpoint("https://attached.example/v1/logs", ATTACHED)


@pytest.mark.parametrize(
    "text", ["https://u:hunter2@a.example", "https://a.example hunter2", "hunter2", "http://a.example"]
)
@pytest.mark.parametrize("source", [POLICY, VARIABLE, CHOICE, ATTACHED])
def test_an_invalid_endpoint_names_its_source_and_is_not_skipped(folders: Home, source: str, text: str) -> None:
    if source in (POLICY, CHOICE):
        write(folders.policy if source == POLICY else folders.config, text)
    with pytest.raises(BadEndpoint, match=source) as caught:
        find_endpoint(folders, text, {VARIABLE: text} if source == VARIABLE else {})
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_that_cannot_be_read_names_its_source_and_does_not_affect_an_earlier_one(folders: Home) -> None:
    os.makedirs(os.path.join(folders.config, "endpoint"))
    with pytest.raises(BadEndpoint, match=CHOICE):
        find_endpoint(folders, None, {})
    assert find_endpoint(folders, None, {VARIABLE: "https://a.example"}) is not None


def test_a_configured_endpoint_is_found_and_readable_only_by_its_owner(folders: Home) -> None:
    url = configure(folders, "https://a.example", headers={"Authorization": SECRET, "X-Team_1": ""})
    endpoint = find_endpoint(folders, None, {})
    assert endpoint == Endpoint(url, CHOICE, {"Authorization": SECRET, "X-Team_1": ""})
    if os.name == "posix":
        modes = {
            name: stat.S_IMODE(os.stat(os.path.join(folders.config, name)).st_mode)
            for name in os.listdir(folders.config)
        }
        assert modes == {"endpoint": 0o600}


def test_the_repr_of_an_endpoint_does_not_show_its_headers(folders: Home) -> None:
    configure(folders, "https://a.example", headers={"Authorization": SECRET})
    endpoint = find_endpoint(folders, None, {})
    assert endpoint is not None
    assert endpoint.headers == {"Authorization": SECRET}
    assert "hush" not in f"{endpoint!r} {endpoint!s} {endpoint}"


def test_the_token_of_one_receiver_is_not_sent_to_another(folders: Home) -> None:
    configure(folders, "https://a.example", headers={"Authorization": SECRET})
    configure(folders, "https://b.example")
    assert find_endpoint(folders, None, {}) == Endpoint("https://b.example/v1/logs", CHOICE)
    write(folders.policy, "https://policy.example")
    configure(folders, "https://b.example", headers={"Authorization": SECRET})
    for attached, environ in ((None, {}), (None, {VARIABLE: "https://environment.example"})):
        endpoint = find_endpoint(folders, attached, environ)
        assert endpoint is not None
        assert endpoint.headers == {}
        os.rename(folders.policy, folders.policy + ".gone") if os.path.exists(folders.policy) else None


def test_an_administrators_headers_go_with_the_administrators_endpoint(folders: Home) -> None:
    write(folders.policy, f"https://policy.example\nauthorization:{SECRET}\n\n")
    assert find_endpoint(folders, None, {}) == Endpoint(
        "https://policy.example/v1/logs", POLICY, {"authorization": SECRET}
    )


@pytest.mark.skipif(os.name == "nt", reason="paths of Windows differ")
@pytest.mark.parametrize(
    ("text", "url", "folder"),
    [
        ("file:///srv/drop", "file:///srv/drop", "/srv/drop"),
        ("FILE:///srv/drop/", "file:///srv/drop", "/srv/drop"),
        ("file:///srv/a%20b", "file:///srv/a%20b", "/srv/a b"),
    ],
)
def test_a_directory_is_a_valid_endpoint(text: str, url: str, folder: str) -> None:
    assert parse(text) == parse(url) == url
    assert Endpoint(url, CHOICE).folder == folder
    assert Endpoint("https://a.example/v1/logs", CHOICE).folder is None


def test_a_concurrent_reader_never_combines_one_receivers_token_with_anothers_url(folders: Home) -> None:
    configure(folders, "https://a.example", headers={"X-Of": "a"})
    ended = threading.Event()

    def change() -> None:
        for turn in range(50 if os.name == "nt" else 200):  # under Wine each takes a fifth of a second
            name = "ab"[turn % 2]
            configure(folders, f"https://{name}.example", headers={"X-Of": name})
        ended.set()

    writer = threading.Thread(target=change)
    writer.start()
    seen = set()
    while not ended.is_set():
        endpoint = find_endpoint(folders, None, {})
        assert endpoint is not None
        seen.add((endpoint.url, *endpoint.headers.items()))
    writer.join()
    assert seen == {("https://a.example/v1/logs", ("X-Of", "a")), ("https://b.example/v1/logs", ("X-Of", "b"))}


@pytest.mark.parametrize("allowed", [True, False])
def test_allow_http_is_stored_with_the_endpoint(folders: Home, allowed: bool) -> None:
    if allowed:
        configure(folders, "http://a.example", allow_http=True)
        assert find_endpoint(folders, None, {}) == Endpoint("http://a.example/v1/logs", CHOICE)
    else:
        with pytest.raises(BadEndpoint):
            configure(folders, "http://a.example")
        assert not os.path.exists(folders.config)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("-", "x"),
        ("X Y", "x"),
        ("X:Y", "x"),
        ("X\r\nY", "x"),
        ("Ü", "x"),
        ("X", "a\r\nInjected: 1"),
        ("X", "a\x00"),
        ("X", "ü"),
    ],
)
def test_a_header_that_http_does_not_allow_is_refused_before_anything_is_written(
    folders: Home, name: str, value: str
) -> None:
    with pytest.raises(BadEndpoint):
        configure(folders, "https://a.example", headers={name: value})
    assert not os.path.exists(folders.config)
    write(folders.config, f"https://a.example\n{name}: {value}\n")
    if "\n" not in name + value and ":" not in name:
        with pytest.raises(BadEndpoint, match=CHOICE):
            find_endpoint(folders, None, {})
