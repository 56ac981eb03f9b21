"""What `device` promises of addresses: their secrets are in nothing that anybody sees."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, unquote, unquote_to_bytes
from urllib.request import urlopen

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from device.camera.source import open_source
from device.contract.preprocess import Preprocessing
from device.doctor.finding import FAILED, Finding
from device.errors import ConfigError, SourceError
from device.outputs.mqtt import home_assistant
from device.outputs.web import view
from device.settings import address as addresses
from device.settings import sections
from device.settings.address import hide, parse, problem, remember, remember_secret, safe, shown
from device.settings.sections import CameraConfig
from device.telemetry.counters import Telemetry
from tests.support.cli import Call
from tests.support.places import ROOT

PLACES = ("garden", "127.0.0.1:9", "[fe80::1%eth0]:554", "cam.local:port", "cam:", "[::1", "ho st")
PATHS = ("", "/", "/live/ch0", "/axis-cgi/mjpg/video.cgi", "/my%20cam/1.jpg", "/ü")
STARTS = ("rtsp://", "RTSP://", "rtsps://", "http://", "HttpS://", "mqtt://", "x-y+1.0://")
BROKEN_STARTS = ("rtsp:/", "http:", "HTTP:\\\\", "//", "", "rtsp:///")
WORDS = ": Invalid argument"
Writing = Callable[[str], str]

FIRST, LAST = "Zq", "7X"
"""Every secret of these tests has both, and nothing else has."""

odd = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    list("@:/?#[]%&=+;,'\"\\ <>{}|^`~$!*()äß€日\u202e\x1b\t\n")
)
parts = st.text(odd, max_size=8)
secrets = st.builds("{}{}{}{}{}".format, parts, st.just(FIRST), parts, st.just(LAST), parts)


def as_it_is(text: str) -> str:
    return text


def encoded(text: str) -> str:
    return quote(text, safe="")


def half_encoded(text: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), quote(text, safe="/@:!"))


writings = st.sampled_from([as_it_is, encoded, half_encoded])
places, paths = st.sampled_from(PLACES), st.sampled_from(PATHS)


@contextmanager
def nothing_known() -> Iterator[None]:
    """Secrets of one example are not the next one's."""
    before, addresses._secrets = addresses._secrets, addresses._Secrets()
    try:
        yield
    finally:
        addresses._secrets = before


def assert_hidden(*texts: str) -> None:
    for text in texts:
        assert FIRST.lower() not in text.lower() and LAST.lower() not in text.lower()


@given(st.sampled_from(STARTS + BROKEN_STARTS), secrets, secrets, writings, places, paths)
@example("RTSP://", f"{FIRST}{LAST}", f"{FIRST}#{LAST}", as_it_is, "garden", "")
@example("", f"a{FIRST}{LAST}", f"a@b/{FIRST}{LAST}", as_it_is, "garden", "/")
@example("//", f"{FIRST}{LAST}", f"...{FIRST}{LAST}", as_it_is, "garden", "/")
@example("//", f"{FIRST}{LAST}", f"{FIRST}{LAST}\n", as_it_is, "garden", "")
def test_user_and_password_are_not_in_a_shown_address(
    start: str, user: str, password: str, write: Writing, place: str, path: str
) -> None:
    address = f"{start}{write(user)}:{write(password)}@{place}{path}"
    assert_hidden(shown(address))
    assert shown(shown(address)) == shown(address)
    with nothing_known():
        if start in STARTS and not set("\r\n") & set(address):
            assert_hidden(hide(f"{address}{WORDS}"), hide(f"cannot open '{address}'"))
        remember(address)
        assert_hidden(hide(f"{address}{WORDS}"), safe(f"cannot open {address!r}"))


@given(st.sampled_from(STARTS), secrets, writings, paths, st.sampled_from("?#;&"))
@example("http://", f"{FIRST}hunter{LAST}", as_it_is, "/snap.cgi", "?")
@example("rtsp://", f"{FIRST}@{LAST}", as_it_is, "", "?")
@example("http://", f"{FIRST}@{LAST}", as_it_is, "/snap.cgi", "&")
def test_values_of_a_query_are_not_in_a_shown_address(
    start: str, value: str, write: Writing, path: str, sign: str
) -> None:
    # Straight behind the host, & and ; are signs of a user, whose host stands behind the @.
    assume(path or sign in "?#" or "@" not in write(value))
    for address in (
        f"{start}garden{path}{sign}user=admin&password={write(value)}&channel=1",
        f"{start}garden{path}{sign}{write(value)}",
        f"{start}admin:pass@garden{path}{sign}pwd={write(value)}",
        f"{start}garden/user=admin_password={write(value)}_channel=1_stream=0.sdp?real",
    ):
        assert_hidden(shown(address))
        if len(address.split()) == 1:
            with nothing_known():
                assert_hidden(hide(f"{address}{WORDS}"), hide(f"cannot open '{address}'"))


@settings(max_examples=40)
@given(st.sampled_from(STARTS), secrets, secrets, writings, paths)
@example("http://", f"{FIRST}{LAST}", f"{FIRST}  {LAST}", as_it_is, "/x")
@example("http://", f"{FIRST}{LAST}", f"100%{FIRST}%{LAST}", as_it_is, "/x")
@example("rtsp://", f"{FIRST}@{LAST}", f"{FIRST}{LAST}", as_it_is, "")
@example("rtsp://", f"{FIRST}{LAST}@", f"{FIRST}?{LAST}", as_it_is, "")
def test_a_library_s_text_gives_no_known_secret_away(
    start: str, value: str, password: str, write: Writing, path: str
) -> None:
    assume(not set("&;#") & set(write(value)))
    query = f"user=admin&password={write(value)}"
    address = f"{start}admin:{write(password)}@garden{path}?{query}"
    basic = base64.b64encode(b"admin:" + unquote_to_bytes(write(password))).decode()
    with nothing_known():
        remember(address)
        for text in (
            f"Error opening {address}: no",
            f"nonnumeric port: '{write(password)}'",
            f"{unquote(address)!r} and {quote(address)}",
            f"URL can't contain control characters. {query!r} (found at least ' ')",
            json.dumps({"uri": address, "password": password, "value": f"password={value}"}),
            f"login as 'admin:{password}' or {encoded(password)} failed",
        ):
            assert_hidden(hide(text), safe(text), hide(" ".join(text.split())))
            assert hide(hide(text)) == hide(text)
        assert basic not in hide(f"Authorization: Basic {basic}")


@given(secrets)
def test_passwords_and_tokens_of_outputs_are_in_no_text(secret: str) -> None:
    with nothing_known():
        remember_secret(secret)
        for text in (secret, repr(secret), quote(secret), f"/?token={encoded(secret)}"):
            assert_hidden(hide(text), safe(f"refused: {text}, sorry"))


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://garden:554/live: Connection refused",
        "rtsp://...@garden/live?...#12: damaged frame",
        "http://...@garden:80/x#7",
        "the stream ended",
        "http: no such thing; https, too",
        "/home/pi/photos@2/1.jpg: no JPEG",
        "camera: no frame for 5 s; trying again",
    ],
)
def test_what_holds_no_secret_is_told_as_it_is(text: str) -> None:
    assert hide(text) == text


@pytest.mark.parametrize(
    ("address", "as_seen"),
    [
        ("rtsp://admin:pass@garden:554/live/ch0", "rtsp://...@garden:554/live/ch0"),
        ("http://[fe80::1%eth0]:80/video.cgi", "http://[fe80::1%eth0]:80/video.cgi"),
        ("http://garden/snap?usr=a&pwd=b", "http://garden/snap?..."),
        ("rtsp://garden/user=admin_password=x_channel=1.sdp", "rtsp://garden/user=..."),
        ("http://admin:hunter2/stream", "http://admin:..."),
        ("http://nvr/proxy/http%3A%2F%2Fa%3Ab%40cam", "http://nvr/proxy/http..."),
        ("/home/pi/photos@2/roses", "/home/pi/photos@2/roses"),
        ("auto", "auto"),
    ],
)
def test_a_shown_address_still_says_which_camera(address: str, as_seen: str) -> None:
    assert shown(address) == as_seen and hide(as_seen) == as_seen


@pytest.mark.parametrize("word", ["admin", "video", "main", "stream"])
def test_common_words_of_an_address_stay_in_messages(word: str) -> None:
    with nothing_known():
        remember(f"http://{word}:@garden/{word}?{word}&type={word}")
        assert hide(f"no {word} in it") == f"no {word} in it"


# --- what is certainly wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("rtsp://admin:pa#SECRET@garden/live", "write # as %23"),
        ("http://admin:pa/SECRET@garden/live", "write / as %2F"),
        ("https://admin:pa?SECRET@garden/live", "write ? as %3F"),
        ("HTTP://admin:#SECRET@garden/live", "write # as %23"),
        ("http://admin:12?SECRET@garden", "write ? as %3F"),
        ("http://admin:12/SECRET@garden", "write / as %2F, in a path @ as %40"),
        ("http://admin:a@b/SECRET@garden", "write / as %2F"),
        ("rtsp://admin:a/b#SECRET?@[fe80::1]/x", "write # as %23 and / as %2F and ? as %3F"),
        ("http://admin:SECRET/stream", "port is not a number"),
        ("rtsp://garden:554SECRET/stream", "port is not a number"),
        ("http://garden:99999/stream", "port is not a number"),
        ("http://fe80::1/SECRET", "in brackets"),
        ("http://[fe80::1/SECRET", "no closing bracket"),
        ("rtsp:///x", "no host"),
        ("http://gar den/SECRET", "no host"),
        ("rtsp:/admin:SECRET@garden/x", "two slashes"),
        ("http:admin:SECRET@garden/x", "two slashes"),
        ("http:\\\\admin:SECRET@garden", "two slashes"),
        ("rtmp://admin:SECRET@garden/x", "rtsp://, rtsps://, http://, https://"),
        ("http://garden/x?token=a#SECRET", "write # as %23, or leave out"),
    ],
)
def test_an_address_that_cannot_be_one_says_what_to_write(address: str, words: str) -> None:
    assert words in problem(address) and "SECRET" not in problem(address)
    with pytest.raises(SourceError) as raised:
        open_source(address, Preprocessing())
    assert words in str(raised.value) and "SECRET" not in str(raised.value)
    with pytest.raises(ValueError) as refused:
        parse(address)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "auto",
        "picamera2",
        "/dev/video0",
        "/home/pi/a:b@c/photos",
        "photos",
        "RTSP://admin:p%23%2F%3F%40@garden:554/live?channel=1&subtype=0",
        "http://admin:p@ss@garden/video.cgi",
        "http://admin:[x@[fe80::1]:8080/video.cgi",
        "http://garden/snap?mail=me@example.org",
        "http://go2rtc:1984/frame.jpeg?src=rtsp://a:b@cam/x",
        "rtsp://garden/user=admin_password=_channel=1_stream=0.sdp?real_stream",
        "rtsp://garden/live#1",
        "https://garden",
    ],
)
def test_addresses_of_cameras_and_everything_local_are_not_complained_of(address: str) -> None:
    assert problem(address) == ""


@given(secrets, secrets, places.filter(lambda place: not problem(f"http://{place}")))
def test_an_encoded_user_and_password_come_out_as_they_were(
    user: str, password: str, place: str
) -> None:
    taken = parse(f"HTTP://{encoded(user)}:{encoded(password)}@{place}/live?a=b")
    assert (taken.user, taken.password) == (user.encode(), password.encode())
    assert (taken.scheme, taken.target) == ("http", "/live?a=b")
    assert_hidden(repr(taken))


@given(st.text(odd, max_size=40))
def test_no_text_is_too_odd_to_be_judged_shown_and_hidden(text: str) -> None:
    for address in (text, f"http://{text}", f"rtsp:{text}", f"a:{text}@b"):
        with nothing_known():
            remember(address)
            assert isinstance(problem(address) + shown(address) + safe(address), str)
            with suppress(ValueError):
                parse(address)


# --- where addresses come to light -------------------------------------------------------------

ADDRESSES = (
    "http://admin:Zq%407X@127.0.0.1:9/x?token=Zq7X&a=b",
    "RTSP://admin:Zq7X@127.0.0.1:9/x",
    "http://admin:Zqqq#7XXX@127.0.0.1:9/x",
    "http://admin:Zq7X/x",
    "user:Zq7X@127.0.0.1/x",
    "rtsp:/user:Zq7X@127.0.0.1/x",
    "xmpp://user:Zq7X@127.0.0.1/x",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_libraries_say_of_an_address_reaches_no_output(address: str) -> None:
    av = pytest.importorskip("av")
    attempts: dict[str, Callable[[], object]] = {
        "urllib": lambda: urlopen(address, timeout=1),
        "http.client": lambda: HTTPConnection(address.partition("//")[2]).request("GET", address),
        "PyAV": lambda: av.open(address, timeout=1),
    }
    with nothing_known():
        remember(address)
        for attempt in attempts.values():
            with pytest.raises(Exception) as raised:
                attempt()
            telemetry = Telemetry(address)
            telemetry.camera.lost(str(raised.value))
            telemetry.start_sink("mqtt").failed(repr(raised.value))
            telemetry.reloaded(str(raised.value))
            telemetry.model_problem(str(raised.value))
            status = telemetry.snapshot()
            assert_hidden(json.dumps(view.health(status, None)))
            assert_hidden(json.dumps(home_assistant.health(status, "", label_is_current=True)))
            finding = Finding("camera", FAILED, str(raised.value), f"mend {address}")
            assert_hidden(finding.line(), json.dumps(finding.record()))


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_source_that_cannot_be_had_does_not_show_its_secrets(address: str) -> None:
    with pytest.raises(SourceError) as raised:
        next(open_source(address, Preprocessing(), CameraConfig(source=address)).frames())
    assert_hidden(str(raised.value), repr(CameraConfig(source=address)))


def test_log_and_tracebacks_of_libraries_and_threads_are_without_secrets() -> None:
    run = subprocess.run(
        [sys.executable, "-c", LIBRARY], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1 and not run.stdout
    assert run.stderr.count("Traceback") == 3 and "WARNING: opening rtsp://...@h" in run.stderr
    assert "INFO: mine" in run.stderr and "\x1b" not in run.stderr
    assert_hidden(run.stderr)


LIBRARY = """
import logging, threading
from device.settings.address import remember
from device.console import show_log
show_log()
address = "rtsp://admin:Zq%407X@h/x"
remember(address)
logging.getLogger("fieldguide").info("mine\x1b[31m")
logging.getLogger("libav").warning("opening %s", address)
try:
    raise ValueError("Zq@7X")
except ValueError:
    logging.getLogger("asyncio").exception("caught")
thread = threading.Thread(target=lambda: 1 / {}["Zq@7X"])
thread.start()
thread.join()
raise OSError(address)
"""


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_command_line_s_errors_are_without_secrets(
    address: str, call: Call, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call("run", "--bundle", tiny_bundle, "--source", address, "--frames", "1")
    assert status == 1 and "error: " in err
    assert_hidden(out, err)
    with pytest.raises(SystemExit):
        call("run", "--bundle", tiny_bundle, "--source", "auto", address)
    assert_hidden(capsys.readouterr().err)


@pytest.mark.parametrize("address", ADDRESSES)
def test_doctor_shows_no_secrets_of_settings(address: str, tmp_path: Path, call: Call) -> None:
    config = tmp_path / "fieldguide.toml"
    token = "[output.web]\ntoken = 'Zq7X'\nenabled = true"
    config.write_text(f"[camera]\nsource = '{address}'\n{token}")
    for options in ([], ["--json"]):
        _, out, err = call("doctor", "--config", config, *options)
        assert "settings" in out
        assert_hidden(out, err)


@pytest.mark.parametrize("host", ["mqtt://me:Zq7X@broker", "me:Zq7X@broker", "me:Zq7X@broker/x"])
def test_a_password_in_the_broker_s_name_is_not_repeated(
    host: str, tmp_path: Path, call: Call
) -> None:
    config = tmp_path / "fieldguide.toml"
    config.write_text(f"[output.mqtt]\nenabled = true\nhost = '{host}'")
    status, out, err = call("serve", "--config", config)
    assert status == 2 and "output.mqtt.host='" in err
    assert_hidden(out, err)


def test_settings_with_an_unencoded_password_are_refused_with_what_to_write(tmp_path: Path) -> None:
    config = tmp_path / "fieldguide.toml"
    config.write_text("[camera]\nsource = 'rtsp://admin:Zq#7X@garden/live'")
    with pytest.raises(ConfigError, match="in a password write # as %23") as raised:
        sections.load(config)
    assert_hidden(str(raised.value))
