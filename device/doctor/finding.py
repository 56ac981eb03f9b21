"""Findings of `device.doctor`, each with its cause and how to fix it."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from device.settings.address import safe


class State(StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    """It works, but needs attention."""
    FAILED = "failed"


OK, WARNING, FAILED = State
MARKS = {OK: "ok     ", WARNING: "warning", FAILED: "FAILED "}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    state: State
    found: str
    """What was found; for a failure, its cause."""
    fix: str = ""
    """What to do about it."""

    def line(self) -> str:
        """One line for people."""
        text = f"{self.check}: {self.found}"
        if self.fix:
            text += f" -> {self.fix}"
        return f"{MARKS[self.state]}  {safe(text)}"

    def record(self) -> dict[str, str]:
        """For programs."""
        found, fix = safe(self.found), safe(self.fix)
        return {"check": self.check, "state": self.state, "found": found, "fix": fix}


def report(findings: Iterable[Finding], *, as_json: bool) -> int:
    """Print findings, for people as they come; returns the exit status, 1 if any failed."""
    seen = []
    for finding in findings:
        seen.append(finding)
        if not as_json:
            print(finding.line(), flush=True)
    failed = sum(finding.state == FAILED for finding in seen)
    if as_json:
        print(json.dumps({"healthy": not failed, "findings": [f.record() for f in seen]}))
    else:
        print(f"{failed} failed" if failed else "nothing failed", file=sys.stderr)
    return int(failed > 0)
