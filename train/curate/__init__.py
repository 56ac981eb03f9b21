"""Care of a folder of photos: audit, cleaning, review of the photos that devices saved."""

__all__ = ["audit_page", "features", "prepare", "vectors"]
