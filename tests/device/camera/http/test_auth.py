"""Signing in at cameras: the RFCs' examples, and a server that checks by itself, as curl says."""

import hashlib
import shutil
import subprocess
import unicodedata
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device.camera.http.auth import SignIn, best, challenges, digest
from device.camera.http.camera import HttpCamera
from device.errors import SourceError
from tests.support.peers.cameras import jpeg
from tests.support.peers.http_servers import QUICK, first, server
from tests.support.peers.password_camera import BASIC, MD5, SHA, Guarded, fields, login

# --- the RFCs -----------------------------------------------------------------------------------

RFC_2617 = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int", '
    'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
RFC_7616_ONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
# With the values of its erratum 4897: the RFC's own are of no SHA-512/256.
RFC_7616_NAMES = (
    'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
    'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
    'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash={}'
)
RFC_7616_NAMES_ONCE = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"


@pytest.mark.parametrize(
    ("header", "login", "uri", "once", "expected"),
    [
        (
            RFC_2617,
            ("Mufasa", "Circle Of Life"),
            "/dir/index.html",
            "0a4f113b",
            {
                "username": "Mufasa",
                "realm": "testrealm@host.com",
                "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
                "uri": "/dir/index.html",
                "qop": "auth",
                "nc": "00000001",
                "cnonce": "0a4f113b",
                "response": "6629fae49393a05397450978507c4ef1",
                "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
            },
        ),
        (
            RFC_7616.format("MD5"),
            ("Mufasa", "Circle of Life"),
            "/dir/index.html",
            RFC_7616_ONCE,
            {"response": "8ca523f5e9506fed4657c9700eebdbec", "algorithm": "MD5"},
        ),
        (
            RFC_7616.format("SHA-256"),
            ("Mufasa", "Circle of Life"),
            "/dir/index.html",
            RFC_7616_ONCE,
            {
                "response": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
                "algorithm": "SHA-256",
            },
        ),
        (
            RFC_7616_NAMES.format("true"),
            ("Jäsøn Doe", "Secret, or not?"),
            "/doe.json",
            RFC_7616_NAMES_ONCE,
            {
                "username": "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
                "userhash": "true",
                "response": "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
            },
        ),
        (
            RFC_7616_NAMES.format("false"),
            # As a Mac writes it; the RFC wants it composed.
            ("Ja\u0308søn Doe", "Secret, or not?"),
            "/doe.json",
            RFC_7616_NAMES_ONCE,
            {
                "username*": "UTF-8''J%C3%A4s%C3%B8n%20Doe",
                "response": "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
            },
        ),
    ],
    ids=["RFC 2617", "RFC 7616 MD5", "RFC 7616 SHA-256", "RFC 7616 userhash", "RFC 7616 username*"],
)
def test_the_answers_are_those_of_the_rfcs(
    header: str, login: tuple[str, str], uri: str, once: str, expected: dict[str, str]
) -> None:
    if "SHA-512-256" in header and "sha512_256" not in hashlib.algorithms_available:
        pytest.skip("this Python has no SHA-512/256")
    (challenge,) = challenges([header])
    user, password = (text.encode() for text in login)
    answer = digest(challenge, user, password, "GET", uri, 1, once)
    given = fields(answer)
    assert answer.startswith("Digest ") and {key: given[key] for key in expected} == expected
    assert ("username" in given) != ("username*" in given)


# --- which of several ---------------------------------------------------------------------------

ODD = 'digest nonce = "n" , algorithm="sha-256" , realm="a, b=\\"c\\" Basic"'


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(
    ("headers", "scheme", "algorithm"),
    [
        ([BASIC], "basic", "MD5"),
        ([BASIC, MD5], "digest", "MD5"),
        ([MD5, BASIC], "digest", "MD5"),
        ([MD5, SHA, BASIC], "digest", "SHA-256"),
        ([SHA, MD5], "digest", "SHA-256"),
        (["Negotiate", "Bearer", 'NEWAUTH realm="x"', MD5.upper()], "digest", "MD5"),
        (["DIGEST REALM=cam,NONCE=n,ALGORITHM=md5-SESS", BASIC], "digest", "MD5"),
        ([ODD], "digest", "SHA-256"),
        ([MD5.replace("MD5", "SHA-1024"), MD5], "digest", "MD5"),
        (['Digest qop="auth", realm="cam", nonce="n",,, stale=FALSE,'], "digest", "MD5"),
    ],
)
def test_the_safest_challenge_is_taken_in_any_order_case_and_spelling(
    headers: list[str], scheme: str, algorithm: str, joined: bool
) -> None:
    chosen = best(challenges([", ".join(headers)] if joined else headers))
    assert chosen.scheme == scheme
    if scheme == "digest":
        assert chosen.algorithm == algorithm and chosen.parameters["nonce"].lower() == "n"


@pytest.mark.parametrize("headers", [[], ["Bearer"], [BASIC, MD5.replace("MD5", "SHA-1024")], [""]])
def test_a_password_is_never_sent_in_clear_where_digest_is_offered(headers: list[str]) -> None:
    with pytest.raises(ValueError, match="only by"):
        best(challenges(headers))
    sign_in = SignIn(b"admin", b"secret")
    with pytest.raises(ValueError, match="only by"):
        sign_in.take(headers)
    assert sign_in.header("GET", "/") == ""


def test_a_server_that_asked_for_digest_gets_no_password_in_clear_later() -> None:
    sign_in = SignIn(b"admin", b"secret")
    sign_in.take([MD5])
    with pytest.raises(ValueError, match="Digest before"):
        sign_in.take([BASIC])
    assert "Basic" not in sign_in.header("GET", "/")


odd = st.text(st.characters(max_codepoint=255)) | st.sampled_from([BASIC, MD5, SHA, ODD, '"', ","])


@given(st.lists(odd))
def test_no_header_is_too_odd_to_be_read(headers: list[str]) -> None:
    try:
        chosen = best(challenges(headers))
    except ValueError:
        return
    if chosen.scheme == "digest":
        assert digest(chosen, b"a", b"b", "GET", "/", 1, "c").startswith("Digest ")


# --- a server that checks -----------------------------------------------------------------------

WAYS = [
    BASIC,
    MD5,
    SHA,
    MD5.lower().replace("digest", "Digest"),
    MD5.replace("MD5", '"MD5"'),
    MD5.replace("algorithm", "ALGORITHM").replace("Digest", "DIGEST"),
    MD5.replace(', qop="auth"', ""),
    MD5.replace(", algorithm=MD5", ""),
    MD5.replace('"auth"', '"auth-int"'),
    MD5.replace('"auth"', '"auth-int,auth"'),
    MD5.replace("MD5", "MD5-sess"),
    SHA.replace("SHA-256", "SHA-256-sess"),
    SHA.replace("SHA-256", "SHA-512-256"),
    SHA + ", userhash=true, charset=UTF-8",
    SHA + ', opaque="o=\\"1\\", Basic"',
    f"{BASIC}, {MD5}",
    f"{MD5}, {BASIC}",
    f"Bearer, {MD5.replace('MD5', 'X')}, {MD5}, {SHA}",
]


@pytest.mark.parametrize("way", WAYS)
def test_a_camera_lets_in_who_has_the_password_and_nobody_else(way: str) -> None:
    if "SHA-512-256" in way and "sha512_256" not in hashlib.algorithms_available:
        pytest.skip("this Python has no SHA-512/256")
    camera = Guarded(challenges=(way,))
    with server(camera) as address:
        assert first(login(address)).picture is not None
        assert [bool(header) for header in camera.given] == [False, True]
        for wrong in (login(address, password="wrong"), login(address, user="root"), address):
            camera.given.clear()
            with pytest.raises(SourceError, match="401"):
                first(wrong)
            # A camera locks out who tries often.
            assert sum(map(bool, camera.given)) <= 1
    assert way == BASIC or not any(header.startswith("Basic") for header in camera.given)


# What Debian's curl does not do: hashed names, integrity alone, unknown ways before known ones.
BEYOND_CURL = ("userhash", '"auth-int"', "512", "Bearer")


@pytest.mark.parametrize("way", [w for w in WAYS if not any(part in w for part in BEYOND_CURL)])
def test_curl_is_let_in_by_the_same_server(way: str) -> None:
    """The server reckons as the world does."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl")
    with server(Guarded(challenges=(way,))) as address:
        command = [curl, "-s", "--anyauth", "-u", "admin:secret", "-o", "-", address]
        assert subprocess.run(command, capture_output=True, check=False).stdout == jpeg(0)


words = st.text(st.characters(exclude_categories=["C"]), max_size=12)
users = words.filter(lambda text: ":" not in text)


@settings(max_examples=25)
@given(users, words, st.sampled_from([BASIC, MD5, SHA]), st.booleans())
@example("admin", "SECRETä€", MD5, True)
@example('a"b\\c', "p@ss:w/o?r#d%", SHA, False)
def test_any_user_and_password_is_sent_as_utf_8(
    user: str, password: str, way: str, charset: bool
) -> None:
    camera = Guarded(user.encode(), password.encode(), (way + ", charset=UTF-8" * charset,))
    if charset:
        # Composed, as the RFC wants it.
        camera.user, camera.password = (nfc(text) for text in (camera.user, camera.password))
    with server(camera) as address:
        assert first(login(address, user, password)).picture is not None


def nfc(text: bytes) -> bytes:
    return unicodedata.normalize("NFC", text.decode()).encode()


def test_a_password_of_an_old_camera_may_be_latin_1() -> None:
    with server(Guarded(password="ä".encode("latin-1"))) as address:
        assert first(address.replace("//", "//admin:%E4@")).picture is not None


@pytest.mark.parametrize("says_stale", [True, False])
def test_single_pictures_go_on_when_nonces_end(says_stale: bool) -> None:
    camera = Guarded(challenges=(SHA,), lifetime=2, says_stale=says_stale)
    with server(camera) as address:
        frames = HttpCamera(login(address), QUICK).frames()
        pictures = [next(frames).picture for _ in range(5)]
        frames.close()  # type: ignore[attr-defined]
    assert all(picture is not None for picture in pictures)
    # One refusal for each nonce, the first included.
    assert len(camera.given) == 5 + 3


def test_a_password_that_was_refused_is_not_sent_twice_the_next_time() -> None:
    sign_in = SignIn(b"admin", b"secret")
    sign_in.take([MD5])
    assert sign_in.header("GET", "/")
    sign_in.forget()
    assert sign_in.header("GET", "/") == ""


# --- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [BASIC, MD5, SHA])
def test_another_host_that_an_answer_sends_us_to_never_sees_the_password(way: str) -> None:
    thief = Guarded(challenges=(way,))

    def camera(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", elsewhere)
        handler.end_headers()

    home = Guarded(challenges=(way,))

    def signed_in(handler: BaseHTTPRequestHandler) -> None:
        # Also after it has signed in here.
        if home._check(handler.headers.get("Authorization", ""), handler.path):
            return camera(handler)
        home(handler)

    with server(thief) as elsewhere:
        for answer in (camera, signed_in):
            with server(answer) as address, pytest.raises(SourceError, match="401"):
                first(login(address))
        # Also under another name of the same machine, or with the password in the new address.
        elsewhere = elsewhere.replace("127.0.0.1", "localhost")
        with server(camera) as address, pytest.raises(SourceError):
            first(login(address))
    assert thief.given and not any(thief.given)


def test_within_one_camera_a_redirect_is_followed_with_the_password() -> None:
    inside = Guarded(challenges=(SHA,))

    def camera(handler: BaseHTTPRequestHandler) -> None:
        if handler.path != "/camera":
            return inside(handler)
        handler.send_response(307)
        handler.send_header("Location", "/inside?a=b")
        handler.end_headers()

    with server(camera) as address:
        assert first(login(address)).picture is not None
