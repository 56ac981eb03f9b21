"""What puts releases on boards over SSH; on the workstation only."""

__all__ = ["fetch_wheels"]
