"""Reading the index: what keys mean, what is found, in which order."""

__all__: list[str] = []
