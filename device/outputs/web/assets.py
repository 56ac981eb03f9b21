"""The files of the pages: put together, with the policy that lets nothing else run."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE, SIGN_IN = "page.html", "sign_in.html"
STYLE = "page.css"
SCRIPTS = (
    "base.js",
    "picture.js",
    "nearest.js",
    "sight.js",
    "saving.js",
    "mask.js",
    "visits.js",
    "drift.js",
    "health.js",
    "start.js",
)
"""In this order they become one script, so each may use what the ones before it define."""
CSRF, PROBLEM = b"{{csrf}}", b"{{problem}}"
"""What is filled in for each request."""
NONE = "'none'"


@cache
def page(name: str) -> tuple[bytes, str]:
    """A page, and the policy that allows only its own scripts and styles."""
    whole = (FOLDER / name).read_bytes()
    whole = whole.replace(b"{{style}}", (FOLDER / STYLE).read_bytes())
    whole = whole.replace(b"{{scripts}}", b"\n".join((FOLDER / s).read_bytes() for s in SCRIPTS))
    rules = [f"{kind} {_hashes(whole, tag)}" for kind, tag in _KINDS]
    fixed = "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; form-action 'self'"
    return whole, "; ".join([fixed, *rules, "base-uri 'none'"])


_KINDS = (("style-src", b"style"), ("script-src", b"script"))


def _hashes(whole: bytes, tag: bytes) -> str:
    found = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), whole, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(inner).digest()).decode() for inner in found)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or NONE
