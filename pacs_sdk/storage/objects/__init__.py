"""Where objects are: the storage port, files, their layouts."""

__all__: list[str] = []
