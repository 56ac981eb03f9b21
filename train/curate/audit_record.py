"""The audit's file, `audit.json`: what was found, and what of it may go."""

from dataclasses import dataclass
from typing import ClassVar

from device.workstation.records import Record
from train.curate.audit import Finding, Judge, Removal


@dataclass(frozen=True)
class Unusable:
    """A photo that the split leaves out in any case."""

    path: str
    reason: str


@dataclass(frozen=True)
class AuditRecord(Record):
    """`audit.json`, for programs and for `make data CLEAN=1`."""

    SCHEMA: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = "make audit"

    fingerprint: str
    """Of the photos; a cleaning is for these alone."""
    seed: int
    """Of their split."""
    judge: Judge | None
    unusable: tuple[Unusable, ...]
    findings: tuple[Finding, ...]
    removals: tuple[Removal, ...]
