"""What the HTML pages of training share: style, templates, pictures."""

__all__ = ["pictures", "templates"]
