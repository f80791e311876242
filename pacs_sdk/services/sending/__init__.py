"""The parts of the Storage service class user: what is sent, over which associations, and again."""

from pacs_sdk.services.sending.outcomes import SkippedFile, StoreOutcome, StoreReport
from pacs_sdk.services.sending.sources import StoreSource

__all__ = ["SkippedFile", "StoreOutcome", "StoreReport", "StoreSource"]
