"""One association over one socket: what the threaded and the asyncio driver share."""
