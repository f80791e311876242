"""Retrieval by C-GET and C-MOVE, both sides (PS3.4 Annexes C, Y and Z)."""

from pacs_sdk.services.retrieve.destinations import (
    ConfiguredDestinations,
    Destination,
    DestinationResolver,
    first_known,
)
from pacs_sdk.services.retrieve.keepers import InFolder, InMemory
from pacs_sdk.services.retrieve.receiver import KeepInstance, ReceiveHere
from pacs_sdk.services.retrieve.report import OnProgress, RetrieveProgress, RetrieveReport
from pacs_sdk.services.retrieve.scp import Moves, RetrieveScp, sub_operation_pool
from pacs_sdk.services.retrieve.scu import RetrieveScu
from pacs_sdk.services.retrieve.stored_destinations import StoredDestinations

__all__ = [
    "ConfiguredDestinations",
    "Destination",
    "DestinationResolver",
    "InFolder",
    "InMemory",
    "KeepInstance",
    "Moves",
    "OnProgress",
    "ReceiveHere",
    "RetrieveProgress",
    "RetrieveReport",
    "RetrieveScp",
    "RetrieveScu",
    "StoredDestinations",
    "first_known",
    "sub_operation_pool",
]
