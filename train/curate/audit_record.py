"""The record of an audit, `audit.json`: findings, and photos that are safe to remove."""

from dataclasses import dataclass
from typing import ClassVar

from device.workstation.records import Record
from train.curate.findings import Finding, Judge, Removal


@dataclass(frozen=True)
class Unusable:
    """A photo that the split leaves out in any case, cleaned or not."""

    path: str
    reason: str


@dataclass(frozen=True)
class AuditRecord(Record):
    """`audit.json`, for programs and for `make data CLEAN=1`."""

    SCHEMA: ClassVar[int] = 2
    MADE_BY: ClassVar[str] = "make audit"

    fingerprint: str
    """Fingerprint of the photos: the audit cleans only these."""
    seed: int
    """Seed of their split."""
    judge: Judge | None
    unusable: tuple[Unusable, ...]
    findings: tuple[Finding, ...]
    removals: tuple[Removal, ...]
