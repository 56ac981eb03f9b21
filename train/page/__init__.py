"""What the HTML pages of training share: style sheet, template environment, pictures."""

__all__ = ["pictures", "templates"]
