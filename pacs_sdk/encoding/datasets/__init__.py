"""Data sets: bytes to pydicom's model and back, and headers without either."""

__all__: list[str] = []
