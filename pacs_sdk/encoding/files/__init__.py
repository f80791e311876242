"""Files (PS3.10): read whole or in part, written at once or frame by frame."""

__all__: list[str] = []
