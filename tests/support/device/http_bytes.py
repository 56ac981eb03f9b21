"""What may come to a server: requests, what looks like them, and noise."""

from hypothesis import strategies as st

LINES = (
    b"Host: a",
    b"host: b",
    b"Host : a",
    b"Connection: close",
    b"Connection: Keep-Alive, TE",
    b"Content-Length: 5",
    b"Content-Length: 5, 5",
    b"Content-Length: 6",
    b"Content-Length: +5",
    b"Content-Length: 99999999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked",
    b"Expect: 100-continue",
    b"Upgrade: h2c",
    b"Cookie: a=1",
    b"Authorization: Bearer x",
    b"Origin: http://a",
    b" folded",
    b"X-Any: \xe9\x01",
    b": no name",
    b"no colon",
)
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"CONNECT", b"OPTIONS", b"get")
TARGETS = (
    b"/",
    b"//x?a=1",
    b"/?" + b"a&" * 40,
    b"*",
    b"http://a/",
    b"a:443",
    b"/\xe9",
    b"//[",
    b"",
)
VERSIONS = (b"HTTP/1.1",) * 6 + (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.9", b"HTTP/2")
BODIES = (b"", b"12345", b"5\r\n12345\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def _one() -> st.SearchStrategy[bytes]:
    """A request with headers that may be wrong, or at odds with each other."""
    line = st.tuples(*map(st.sampled_from, (METHODS, TARGETS, VERSIONS))).map(b" ".join)
    headers = st.lists(st.one_of(st.just(b"Host: a"), st.sampled_from(LINES)), max_size=6)
    end = st.sampled_from((b"\r\n", b"\r\n", b"\n"))
    return st.builds(
        lambda line, headers, end, body: end.join((line, *headers, b"", body)),
        line,
        headers,
        end,
        st.sampled_from(BODIES),
    )


def requests() -> st.SearchStrategy[bytes]:
    """Bytes of one connection."""
    noise = st.binary(max_size=40)
    return st.one_of(
        st.lists(_one(), min_size=1, max_size=4).map(b"".join),
        st.tuples(_one(), noise, _one()).map(b"".join),
        noise,
        st.tuples(st.just(b"GET / HTTP/1.1\r\nHost: a\r\n"), noise, st.just(b"\r\n\r\n")).map(
            b"".join
        ),
    )


def cuts() -> st.SearchStrategy[list[int]]:
    """Lengths of the pieces in which bytes come."""
    return st.lists(st.integers(1, 30), max_size=30)


def pieces(data: bytes, lengths: list[int]) -> list[bytes]:
    """The same bytes in pieces, none of them empty; the rest in one."""
    found, at = list[bytes](), 0
    for length in lengths:
        found.append(data[at : at + length])
        at += length
    return [piece for piece in (*found, data[at:]) if piece]
