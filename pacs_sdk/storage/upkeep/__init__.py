"""Keeping an archive in order: sessions, recovery, reindexing, verification."""
