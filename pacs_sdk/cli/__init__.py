"""The ``pacs`` program: one small module a command."""

__all__: list[str] = []
