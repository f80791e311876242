"""From one transfer syntax to another, frames decoded or as they are."""

__all__: list[str] = []
