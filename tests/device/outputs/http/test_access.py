"""Who gets the device's pages: nobody from the network without the token, no foreign page."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ConfigError
from device.outputs.http.access import Access, offered_token
from device.outputs.http.messages import Request
from device.settings.sections import ServerConfig, check_frame_ancestors, check_server

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
    assert not OPEN.is_own_page(request("/save", "POST", origin=origin))
    assert OPEN.is_own_page(request("/save", "POST", origin="http://127.0.0.1:8080"))


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
    assert {"HttpOnly", "SameSite=Lax"} <= set(rules)
    # For its own folder: other pages of a proxy do not get it.
    assert not any(rule.startswith("Path") for rule in rules)
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


def cookie_of(access: Access, framed: bool = False, **headers: str) -> str:
    signed = access.sign_in(request("/", token=TOKEN, **headers), framed=framed)
    assert signed is not None
    return signed["Set-Cookie"]


PAIR = st.text(st.characters(codec="latin-1", exclude_characters=";\n\r\0"), max_size=40)


@given(st.lists(PAIR, max_size=5), st.lists(PAIR, max_size=5), st.sampled_from([";", "; ", ";  "]))
def test_cookies_of_other_pages_sign_nobody_out(
    before: list[str], after: list[str], sign: str
) -> None:
    own = cookie_of(CLOSED).split(";")[0]
    assert refused(CLOSED, request(cookie=sign.join([*before, own, *after]))) is None


@pytest.mark.parametrize(
    "other",
    ['prefs={"theme":"dark"}', "flag", "a b=c d", "name=ü", '"', 'x="a', "=", "==;;", "$Version=1"],
)
def test_an_odd_cookie_signs_nobody_out(other: str) -> None:
    own = cookie_of(CLOSED).split(";")[0]
    for header in (f"{other}; {own}", f"{own}; {other}", f"{other};{own};{other}"):
        assert refused(CLOSED, request(cookie=header)) is None


def test_a_cookie_of_the_same_name_from_another_path_does_not_hide_the_right_one() -> None:
    own = cookie_of(CLOSED).split(";")[0]
    old = own.split("=")[0] + "=old"
    assert refused(CLOSED, request(cookie=f"{old}; {own}")) is None
    assert refused(CLOSED, request(cookie=old)) == 401


def test_devices_at_one_name_keep_cookies_of_their_own() -> None:
    other = Access(ServerConfig(address="0.0.0.0", token=TOKEN[::-1]))
    reversed_token = other.sign_in(request("/", token=TOKEN[::-1]))
    assert reversed_token is not None
    names = {c.split("=")[0] for c in (cookie_of(CLOSED), reversed_token["Set-Cookie"])}
    assert len(names) == 2
    both = "; ".join(c.split(";")[0] for c in (cookie_of(CLOSED), reversed_token["Set-Cookie"]))
    assert refused(CLOSED, request(cookie=both)) is refused(other, request(cookie=both)) is None


@pytest.mark.parametrize(
    ("headers", "framed", "rules"),
    [
        ({}, False, {"SameSite=Lax"}),
        ({}, True, {"SameSite=Lax"}),
        ({"x_forwarded_proto": "https"}, False, {"SameSite=Lax", "Secure"}),
        ({"x_forwarded_proto": "https, http"}, False, {"SameSite=Lax", "Secure"}),
        ({"x_forwarded_proto": "http"}, False, {"SameSite=Lax"}),
        ({"x_forwarded_proto": "https", "origin": "http://a"}, False, {"SameSite=Lax"}),
        ({"origin": "https://a"}, False, {"SameSite=Lax", "Secure"}),
        ({"origin": "https://a"}, True, {"SameSite=None", "Secure", "Partitioned"}),
    ],
)
def test_the_cookie_goes_as_far_as_it_must(
    headers: dict[str, str], framed: bool, rules: set[str]
) -> None:
    cookie = cookie_of(CLOSED, framed, **headers)
    named = {rule.strip() for rule in cookie.split(";")[1:]}
    assert {r for r in named if r.startswith("SameSite") or r in ("Secure", "Partitioned")} == rules


def test_a_form_has_the_token_in_its_body_alone() -> None:
    form = Request("POST", "/", {"token": TOKEN}, {}, f"token={TOKEN}x&more=1".encode())
    assert offered_token(form) == TOKEN + "x"
    assert offered_token(Request("POST", "/", {"token": TOKEN}, {}, b"")) == ""


@given(st.binary(max_size=300))
def test_any_form_is_read_without_a_fault(body: bytes) -> None:
    assert CLOSED.sign_in(Request("POST", "/", {}, {}, body)) is None


def test_behind_a_proxy_the_page_is_known_by_the_name_in_the_settings() -> None:
    # nginx as it comes sends its own name for the device as Host; many guides drop the port.
    for host in ("127.0.0.1:8080", "garden.lan"):
        for origin in ("https://garden.lan", "https://garden.lan:8443"):
            asked = request(
                "/save", "POST", host=host, origin=origin, authorization=f"Bearer {TOKEN}"
            )
            assert refused(CLOSED, asked) is None and CLOSED.is_own_page(asked)
        for origin in ("https://evil.lan", "https://garden.lan.evil.example", "null", "https://"):
            asked = request(
                "/save", "POST", host=host, origin=origin, authorization=f"Bearer {TOKEN}"
            )
            assert refused(CLOSED, asked) == 403 and not CLOSED.is_own_page(asked)
    encrypted = request("/save", "POST", origin="https://nas.lan", sec_fetch_site="same-origin")
    assert refused(OPEN, encrypted) is None and OPEN.is_own_page(encrypted)
    rebound = replace(encrypted, headers={**encrypted.headers, "host": "evil.example"})
    assert refused(OPEN, rebound) == 421
    other_port = request("/save", "POST", origin="https://garden.lan:1", sec_fetch_site="same-site")
    assert refused(CLOSED, other_port) == 403


@pytest.mark.parametrize(
    "origin", ["http://homeassistant.local:8123", "https://ha.example", "http://[fd00::1]:8123"]
)
def test_pages_that_may_frame_it_are_named_by_their_origins(origin: str) -> None:
    check_frame_ancestors((origin,))


@pytest.mark.parametrize(
    "origin",
    ["*", "https:", "ha.local", "http://ha.local/", "https://a b", "https://a; x", "'self'"],
)
def test_anything_else_is_a_settings_error(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"frame_ancestors.*write the beginning"):
        check_frame_ancestors((origin,))
