"""Deploys releases to boards over SSH; used only on the workstation."""

__all__ = ["fetch_wheels"]
