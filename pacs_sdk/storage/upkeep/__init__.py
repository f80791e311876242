"""Keeping an archive in order: sessions, recovery, reindexing, verification."""

__all__: list[str] = []
