"""What the HTML pages of training share: template environment, pictures."""

__all__ = ["pictures", "templates"]
