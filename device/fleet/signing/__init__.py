"""Keys, roles and signed metadata: what is signed, by whom, and how it gets onto the disk."""

__all__ = ["change", "folder", "keys", "names", "passphrase", "roles", "state"]
