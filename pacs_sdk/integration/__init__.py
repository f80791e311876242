"""Where everything is put together: the container, the whole PACS, and the adapters.

Each part is imported from its own module, because they need different packages: a
series loader does not import a database.
"""

__all__: list[str] = []
