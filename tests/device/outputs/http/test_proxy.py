"""The page below a proxy's path and in other pages' frames, with real nginx and Chromium."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from device.outputs.web.sink import Web
from device.settings.sections import WebConfig
from tests.support.device.observations import Surroundings
from tests.support.device.serving import served
from tests.support.peers.browser import Browser
from tests.support.peers.film import Browsers, Film, click, text
from tests.support.peers.proxy import location_of_readme, nginx
from tests.support.timing import eventually

TOKEN = "0123456789abcdef"
FIELD = "document.querySelector('input[name=token]')"
SIGN_IN = f"{FIELD}.value = '{TOKEN}'; {FIELD}.form.requestSubmit()"
HOLDS = "return document.getElementById('hold')?.disabled === false"
ASKS = f"return Boolean({FIELD})"
PLAIN = "location /birds/ {{ proxy_pass http://127.0.0.1:{port}/; {more} }}"


@contextmanager
def shown(surroundings: Surroundings, config: WebConfig) -> Iterator[Web]:
    with served(Web(surroundings.context(web=config)), surroundings) as page:
        film = Film(page)
        film.show(0)
        try:
            yield page
        finally:
            film.end()


def said(browser: Browser) -> str:
    return str(browser.run("return document.body?.innerText"))


def save(browser: Browser) -> None:
    eventually(lambda: browser.run(HOLDS))
    click(browser, "hold")
    click(browser, "send")
    eventually(lambda: "Saved as red" in text(browser, "told"))


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
def test_below_a_path_one_signs_in_looks_and_saves_and_no_other_page_gets_the_token(
    browsers: Browsers, surroundings: Surroundings, tmp_path: Path, encrypted: bool
) -> None:
    with (
        shown(surroundings, WebConfig(address="0.0.0.0", port=0, token=TOKEN)) as page,
        nginx(tmp_path / "n", location_of_readme(page.port), encrypted=encrypted) as proxy,
        browsers.visit(page, address=proxy.address) as browser,
    ):
        eventually(lambda: browser.run(ASKS))
        browser.run(f"{FIELD}.value = 'wrong-wrong-wrong'; {FIELD}.form.requestSubmit()")
        eventually(lambda: "That token is wrong" in said(browser))
        browser.run(SIGN_IN)
        save(browser)
        assert browser.run("return location.href") == proxy.address
        assert [label for _, label in surroundings.kept] == ["red"]
        # The house's own page gets neither token nor cookie.
        (cookie,) = browser.cookies()
        assert cookie["path"] == "/birds" and cookie["secure"] == encrypted
        assert cookie["sameSite"] == "Lax" and cookie["httpOnly"]
        asked = proxy.log()
        assert TOKEN not in asked and "wrong-wrong" not in asked
        assert all(" /birds/" in line or " /favicon.ico" in line for line in asked.splitlines())


def test_below_a_path_the_link_with_the_token_leads_to_the_page(
    browsers: Browsers, surroundings: Surroundings, tmp_path: Path
) -> None:
    with (
        shown(surroundings, WebConfig(address="0.0.0.0", port=0, token=TOKEN)) as page,
        nginx(tmp_path / "n", location_of_readme(page.port)) as proxy,
        browsers.visit(page, address=f"{proxy.address}?token={TOKEN}") as browser,
    ):
        save(browser)
        assert browser.run("return location.href") == proxy.address


@pytest.mark.parametrize(
    "more",
    ["", "proxy_set_header Host $host; proxy_set_header X-Forwarded-Host $http_host;"],
    ids=["as nginx comes", "without the port"],
)
@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
def test_a_proxy_that_does_not_pass_the_host_on_will_do(
    browsers: Browsers, surroundings: Surroundings, tmp_path: Path, more: str, encrypted: bool
) -> None:
    # Without encryption browsers do not say whose page asks: the settings name it.
    hosts = () if encrypted else ("localhost",)
    config = WebConfig(address="0.0.0.0", port=0, token=TOKEN, hosts=hosts)
    with (
        shown(surroundings, config) as page,
        nginx(
            tmp_path / "n", PLAIN.format(port=page.port, more=more), encrypted=encrypted
        ) as proxy,
        browsers.visit(page, address=proxy.address.replace("127.0.0.1", "localhost")) as browser,
    ):
        eventually(lambda: browser.run(ASKS))
        browser.run(SIGN_IN)
        save(browser)


def test_a_path_without_its_slash_will_do(
    browsers: Browsers, surroundings: Surroundings, tmp_path: Path
) -> None:
    with shown(surroundings, WebConfig(port=0)) as page:
        more = "proxy_set_header Host $http_host;"
        location = PLAIN.format(port=page.port, more=more).replace("/birds/", "/birds")
        with (
            nginx(tmp_path / "n", location) as proxy,
            browsers.visit(page, address=proxy.address.removesuffix("/")) as browser,
        ):
            save(browser)


def test_two_devices_at_one_name_do_not_sign_each_other_out(
    browsers: Browsers, surroundings: Surroundings
) -> None:
    other = Surroundings()
    with (
        shown(surroundings, WebConfig(address="0.0.0.0", port=0, token=TOKEN)) as first,
        shown(other, WebConfig(address="0.0.0.0", port=0, token=TOKEN[::-1])) as second,
        browsers.visit(first) as browser,
    ):
        browser.open(f"http://127.0.0.1:{first.port}/?token={TOKEN}")
        browser.open(f"http://127.0.0.1:{second.port}/?token={TOKEN[::-1]}")
        eventually(lambda: browser.run(HOLDS))
        browser.open(f"http://127.0.0.1:{first.port}/")
        save(browser)


def test_a_link_from_another_site_finds_one_signed_in(
    browsers: Browsers, surroundings: Surroundings
) -> None:
    with (
        shown(surroundings, WebConfig(address="0.0.0.0", port=0, token=TOKEN)) as page,
        browsers.visit(page, address=f"http://127.0.0.1:{page.port}/?token={TOKEN}") as browser,
    ):
        eventually(lambda: browser.run(HOLDS))
        with dashboard(f'<a href="http://127.0.0.1:{page.port}/">garden</a>') as address:
            browser.open(address)
            browser.run("document.querySelector('a').click()")
            save(browser)


@contextmanager
def dashboard(body: str) -> Iterator[str]:
    """Another site's page; browsers take `localhost` for another site than 127.0.0.1."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>home</title>{body}".encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_only_the_dashboard_that_the_settings_name_shows_the_page_in_a_card(
    browsers: Browsers, surroundings: Surroundings
) -> None:
    with shown(surroundings, WebConfig(port=0)) as closed:
        card = f'<iframe src="http://127.0.0.1:{closed.port}/" width=900 height=900></iframe>'
        with dashboard(card) as address, browsers.visit(closed, address=address) as browser:
            eventually(lambda: any("frame-ancestors" in p for p in browser.problems()))
            browser.enter(0)
            assert not browser.run("return Boolean(document.getElementById('label'))")
    with dashboard("<p>not yet</p>") as address:
        config = WebConfig(port=closed.port, frame_ancestors=(address.rstrip("/"),))
        with (
            shown(surroundings, config) as framed,
            browsers.visit(framed, address=address) as browser,
        ):
            browser.run(f"document.body.innerHTML = '{card}'")
            browser.enter(0)
            eventually(lambda: browser.run("return Boolean(document.getElementById('label'))"))
            save(browser)


def test_in_a_card_one_signs_in_where_the_page_is_encrypted_and_reads_why_not_elsewhere(
    browsers: Browsers, surroundings: Surroundings, tmp_path: Path
) -> None:
    with dashboard("<p>not yet</p>") as address:
        config = WebConfig(
            address="0.0.0.0", port=0, token=TOKEN, frame_ancestors=(address.rstrip("/"),)
        )
        with (
            shown(surroundings, config) as page,
            nginx(tmp_path / "n", location_of_readme(page.port), encrypted=True) as proxy,
            # Once without a frame, for the proxy's certificate.
            browsers.visit(page, address=proxy.address) as browser,
        ):
            for source, signed_in in (
                (f"http://127.0.0.1:{page.port}/", False),
                (proxy.address, True),
            ):
                browser.open(address)
                browser.run(
                    f'document.body.innerHTML = "<iframe src={source} height=900></iframe>"'
                )
                browser.enter(0)
                eventually(lambda: browser.run(ASKS))
                browser.run(SIGN_IN)
                if signed_in:
                    save(browser)
                else:
                    eventually(lambda: "also needs https" in said(browser))
                browser.enter(None)
