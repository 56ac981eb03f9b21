"""What training and conversion share and no board needs: the files of the build folder."""

__all__ = ["conversion", "quiet", "records", "training"]
