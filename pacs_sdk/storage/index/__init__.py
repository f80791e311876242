"""The index database: its tables, and what is written to them."""

__all__: list[str] = []
