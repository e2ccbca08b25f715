"""Where to send: who is asked in which order, and every text that is no endpoint is refused without being repeated."""

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.spool.consent.decision import CHOICE, POLICY
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.uploader.endpoint import ATTACHED, VARIABLE, Endpoint, configure, find_endpoint
from deepchecks_telemetry.uploader.errors import BadEndpoint
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


FAR = ["http://a.example", "http://8.8.8.8", "http://[2606:4700::1]", "http://[::ffff:8.8.8.8]", "http://172.32.0.1"]
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


@pytest.mark.parametrize("text", [*WRONG, *FAR])
def test_a_text_that_is_no_endpoint_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadEndpoint) as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.__cause__ is None


NO_URL = "invalid endpoint: expected https://HOST, http://HOST or file:///DIR"


@pytest.mark.parametrize(
    ("text", "said"),
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
def test_each_wrong_endpoint_is_told_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(BadEndpoint) as caught:
        parse(text)
    assert str(caught.value) == said


def test_an_endpoint_may_have_two_thousand_letters() -> None:
    text = f"https://a.example/{'a' * 1_982}"
    assert (len(text), parse(text)) == (2_000, f"{text}/v1/logs")


@pytest.mark.parametrize("text", FAR)
def test_http_beyond_private_networks_must_be_allowed_by_name(text: str) -> None:
    assert parse(text, allow_http=True) == f"{text}/v1/logs"


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: f"https://a.example{text}"))
def test_whatever_is_parsed_is_an_endpoint_or_refused(text: str) -> None:
    try:
        url = parse(text, allow_http=True)
    except BadEndpoint:
        return
    assert url.startswith(("https://", "http://"))
    assert url.endswith("/v1/logs")
    assert url.isascii()
    assert not set(url) & set("@?# \r\n")
    assert parse(url, allow_http=True) == url


def test_the_administrator_goes_before_the_environment_before_the_user_before_deepchecks_itself(folders: Home) -> None:
    environ = {VARIABLE: "https://environment.example"}
    write(folders.policy, "https://policy.example\n")
    write(folders.config, "https://user.example\n")
    attached = "https://attached.example"
    found = []
    for _ in range(5):
        endpoint = find_endpoint(folders, attached, environ)
        found.append(endpoint and (endpoint.source, endpoint.url))
        # Take away whoever was first.
        if not endpoint or endpoint.source == ATTACHED:
            attached = ""
        elif endpoint.source == VARIABLE:
            environ.clear()
        else:
            os.unlink(os.path.join(folders.policy if endpoint.source == POLICY else folders.config, "endpoint"))
    assert found == [
        (POLICY, "https://policy.example/v1/logs"),
        (VARIABLE, "https://environment.example/v1/logs"),
        (CHOICE, "https://user.example/v1/logs"),
        (ATTACHED, "https://attached.example/v1/logs"),
        None,
    ]


@pytest.mark.parametrize("blank", ["", " ", "\n", "\t \n"])
def test_a_blank_text_is_no_opinion(folders: Home, blank: str) -> None:
    write(folders.policy, blank)
    write(folders.config, blank)
    assert find_endpoint(folders, blank, {VARIABLE: blank}) is None
    found = find_endpoint(folders, " https://attached.example ", {VARIABLE: blank})
    assert found == Endpoint("https://attached.example/v1/logs", ATTACHED)


@pytest.mark.parametrize(
    "text", ["https://u:hunter2@a.example", "https://a.example hunter2", "hunter2", "http://a.example"]
)
@pytest.mark.parametrize("source", [POLICY, VARIABLE, CHOICE, ATTACHED])
def test_a_wrong_endpoint_names_its_source_and_is_not_passed_over(folders: Home, source: str, text: str) -> None:
    if source in (POLICY, CHOICE):
        write(folders.policy if source == POLICY else folders.config, text)
    with pytest.raises(BadEndpoint, match=source) as caught:
        find_endpoint(folders, text, {VARIABLE: text} if source == VARIABLE else {})
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_that_cannot_be_read_names_its_source_and_does_not_hinder_a_stronger_one(folders: Home) -> None:
    os.makedirs(os.path.join(folders.config, "endpoint"))
    with pytest.raises(BadEndpoint, match=CHOICE):
        find_endpoint(folders, None, {})
    assert find_endpoint(folders, None, {VARIABLE: "https://a.example"}) is not None


def test_what_was_configured_is_found_and_every_user_but_its_owner_is_kept_out(folders: Home) -> None:
    url = configure(folders, "https://a.example", headers={"Authorization": SECRET, "X-Team_1": ""})
    found = find_endpoint(folders, None, {})
    assert found == Endpoint(url, CHOICE, {"Authorization": SECRET, "X-Team_1": ""})
    if os.name == "posix":
        modes = {
            name: stat.S_IMODE(os.stat(os.path.join(folders.config, name)).st_mode)
            for name in os.listdir(folders.config)
        }
        assert modes == {"endpoint": 0o600}


def test_no_text_of_an_endpoint_shows_its_headers(folders: Home) -> None:
    configure(folders, "https://a.example", headers={"Authorization": SECRET})
    found = find_endpoint(folders, None, {})
    assert found is not None
    assert found.headers == {"Authorization": SECRET}
    assert "hush" not in f"{found!r} {found!s} {found}"


def test_one_receivers_token_is_not_sent_to_the_next(folders: Home) -> None:
    configure(folders, "https://a.example", headers={"Authorization": SECRET})
    configure(folders, "https://b.example")
    assert find_endpoint(folders, None, {}) == Endpoint("https://b.example/v1/logs", CHOICE)
    write(folders.policy, "https://policy.example")
    configure(folders, "https://b.example", headers={"Authorization": SECRET})
    for attached, environ in ((None, {}), (None, {VARIABLE: "https://environment.example"})):
        found = find_endpoint(folders, attached, environ)
        assert found is not None
        assert found.headers == {}
        os.rename(folders.policy, folders.policy + ".gone") if os.path.exists(folders.policy) else None


def test_an_administrators_headers_go_with_the_administrators_endpoint(folders: Home) -> None:
    write(folders.policy, f"https://policy.example\nauthorization:{SECRET}\n\n")
    assert find_endpoint(folders, None, {}) == Endpoint(
        "https://policy.example/v1/logs", POLICY, {"authorization": SECRET}
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows writes its folders in another way")
@pytest.mark.parametrize(
    ("text", "url", "folder"),
    [
        ("file:///srv/drop", "file:///srv/drop", "/srv/drop"),
        ("FILE:///srv/drop/", "file:///srv/drop", "/srv/drop"),
        ("file:///srv/a%20b", "file:///srv/a%20b", "/srv/a b"),
    ],
)
def test_a_folder_is_an_endpoint_too(text: str, url: str, folder: str) -> None:
    assert parse(text) == parse(url) == url
    assert Endpoint(url, CHOICE).folder == folder
    assert Endpoint("https://a.example/v1/logs", CHOICE).folder is None


def test_whoever_reads_while_it_is_set_anew_never_pairs_one_receivers_token_with_anothers_url(folders: Home) -> None:
    configure(folders, "https://a.example", headers={"X-Of": "a"})
    ended = threading.Event()

    def change() -> None:
        for turn in range(200):
            name = "ab"[turn % 2]
            configure(folders, f"https://{name}.example", headers={"X-Of": name})
        ended.set()

    writer = threading.Thread(target=change)
    writer.start()
    seen = set()
    while not ended.is_set():
        found = find_endpoint(folders, None, {})
        assert found is not None
        seen.add((found.url, *found.headers.items()))
    writer.join()
    assert seen == {("https://a.example/v1/logs", ("X-Of", "a")), ("https://b.example/v1/logs", ("X-Of", "b"))}


@pytest.mark.parametrize("allowed", [True, False])
def test_what_was_allowed_once_stays_allowed(folders: Home, allowed: bool) -> None:
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
def test_a_header_that_http_does_not_know_is_refused_before_anything_is_written(
    folders: Home, name: str, value: str
) -> None:
    with pytest.raises(BadEndpoint):
        configure(folders, "https://a.example", headers={name: value})
    assert not os.path.exists(folders.config)
    write(folders.config, f"https://a.example\n{name}: {value}\n")
    if "\n" not in name + value and ":" not in name:
        with pytest.raises(BadEndpoint, match=CHOICE):
            find_endpoint(folders, None, {})
