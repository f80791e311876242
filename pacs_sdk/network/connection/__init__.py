"""One association over one socket: what the threaded and the asyncio driver share."""

__all__: list[str] = []
