"""Visits: from what single frames show to one record of each visitor, and the days' records."""

__all__ = ["days", "evidence", "picture", "store", "tracker", "visit"]
