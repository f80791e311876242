"""C-FIND in the Query/Retrieve information models, both sides (PS3.4 C.4.1)."""

from pacs_sdk.services.query.identifiers import (
    IDENTIFIER_SYNTAXES,
    MAX_ANSWER_BYTES,
    read_identifier,
)
from pacs_sdk.services.query.models import UNIQUE_KEYS, model_of
from pacs_sdk.services.query.negotiation import FindNegotiation
from pacs_sdk.services.query.question import identifier_of
from pacs_sdk.services.query.rules import QueryRules
from pacs_sdk.services.query.scp import QueryScp, QuerySource
from pacs_sdk.services.query.scu import QueryScu
from pacs_sdk.services.query.stream import FoundMatches

__all__ = [
    "IDENTIFIER_SYNTAXES",
    "MAX_ANSWER_BYTES",
    "UNIQUE_KEYS",
    "FindNegotiation",
    "FoundMatches",
    "QueryRules",
    "QueryScp",
    "QueryScu",
    "QuerySource",
    "identifier_of",
    "model_of",
    "read_identifier",
]
