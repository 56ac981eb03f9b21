"""Looking after a folder of photos: audit, cleaning, review of what devices saved."""

__all__ = ["audit_page", "prepare"]
