"""Who gets the device's pages: nobody from the network without the token, no foreign page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.access import Access, is_own_page
from device.config import ServerConfig, check_server
from device.errors import ConfigError
from device.http_server import Request

TOKEN = "0123456789abcdef"
OPEN = Access(ServerConfig())
CLOSED = Access(ServerConfig(address="0.0.0.0", token=TOKEN, hosts=("garden.lan",)))


def request(path: str = "/live", method: str = "GET", token: str = "", **headers: str) -> Request:
    named = {"host": "127.0.0.1:8080"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return Request(method, path, {"token": token} if token else {}, named)


def refused(access: Access, asked: Request) -> int | None:
    refusal = access.refuse(asked)
    return refusal.status if refusal else None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_this_machine_needs_no_token(address: str) -> None:
    check_server("output.web", ServerConfig(address=address))


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "fe80::1"])
@pytest.mark.parametrize("token", ["", "short", "fifteen-letters", "sixteen with space"])
def test_the_network_needs_a_token_of_sixteen_characters(address: str, token: str) -> None:
    with pytest.raises(ConfigError, match=r"output\.web.*token.*16"):
        check_server("output.web", ServerConfig(address=address, token=token))


@pytest.mark.parametrize("address", ["", "localhost", "garden.lan", "1.2.3", "0.0.0.0:80"])
def test_an_address_that_is_none_is_a_settings_error(address: str) -> None:
    with pytest.raises(ConfigError, match=r"output\.web\.address.*write an IP address"):
        check_server("output.web", ServerConfig(address=address, token=TOKEN))


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1", True),
        ("[::1]:8080", True),
        ("192.168.1.5:8080", True),
        ("garden.lan:8080", True),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example:8080@localhost", False),
        ("localhost@evil.example", False),
        ("localhost/evil", False),
        ("[::1", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_a_name_that_was_bound_to_this_address_from_outside_is_refused(
    host: str, known: bool
) -> None:
    assert CLOSED.knows(host) == known


@given(st.text())
def test_any_host_header_is_known_or_not(host: str) -> None:
    assert CLOSED.knows(host) in (True, False)


def test_the_page_s_own_requests_pass() -> None:
    assert refused(OPEN, request("/", sec_fetch_site="none")) is None
    assert refused(OPEN, request(sec_fetch_site="same-origin")) is None
    assert refused(OPEN, request()) is None


def test_other_sites_pages_get_nothing_but_may_link_to_the_page() -> None:
    for site in ("cross-site", "same-site"):
        assert refused(OPEN, request("/live", sec_fetch_site=site)) == 403
        assert refused(OPEN, request("/save", "POST", sec_fetch_site=site)) == 403
        assert refused(OPEN, request("/", "POST", sec_fetch_site=site)) == 403
        assert refused(OPEN, request("/", sec_fetch_site=site)) is None
    assert refused(OPEN, request("/live", origin="https://evil.example")) == 403
    assert refused(OPEN, request("/live", origin="null")) == 403


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:9999"])
def test_only_the_own_page_s_origin_may_change_anything(origin: str) -> None:
    assert not is_own_page(request("/save", "POST", origin=origin))
    assert is_own_page(request("/save", "POST", origin="http://127.0.0.1:8080"))


def test_without_the_token_nothing_is_shown() -> None:
    for path in ("/", "/live", "/health", "/metrics", "/nowhere"):
        assert refused(CLOSED, request(path)) == 401


@pytest.mark.parametrize(
    "value", ["", TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer \u20ac\udcff"]
)
def test_a_wrong_header_is_refused(value: str) -> None:
    assert refused(CLOSED, request(authorization=value)) == 401


def test_the_token_in_the_header_is_enough() -> None:
    assert refused(CLOSED, request(authorization=f"Bearer {TOKEN}")) is None
    assert refused(CLOSED, request(authorization=f"bearer {TOKEN}")) is None


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_and_sites_do_not_get() -> None:
    headers = CLOSED.sign_in(request("/", token=TOKEN))
    assert headers is not None
    cookie, *rules = headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(rules)
    assert TOKEN not in cookie
    assert refused(CLOSED, request(cookie=f"other=1; {cookie}")) is None
    # The address alone opens nothing but the sign-in.
    assert refused(CLOSED, request("/live", token=TOKEN)) == 401


def test_a_wrong_token_in_the_address_gives_no_cookie() -> None:
    assert CLOSED.sign_in(request("/", token=TOKEN[:-1])) is None
    assert CLOSED.sign_in(request("/")) is None
    assert OPEN.sign_in(request("/", token="")) is None


def test_another_token_ends_old_cookies() -> None:
    headers = CLOSED.sign_in(request("/", token=TOKEN))
    assert headers is not None
    cookie = headers["Set-Cookie"].split(";")[0]
    other = Access(ServerConfig(address="0.0.0.0", token=TOKEN[::-1]))
    assert refused(other, request(cookie=cookie)) == 401


@given(st.text())
def test_any_cookie_header_is_read_without_a_fault(cookie: str) -> None:
    assert refused(CLOSED, request(cookie=cookie)) == 401
