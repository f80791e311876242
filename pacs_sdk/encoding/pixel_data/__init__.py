"""Pixel Data: where frames are, what they are, and how they become arrays."""

__all__: list[str] = []
