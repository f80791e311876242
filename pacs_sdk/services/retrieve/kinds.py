"""Finding out what kinds of instances a peer has, before they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.network import Peer
from pacs_sdk.services.query import UNIQUE_KEYS, QueryScu
from pacs_sdk.services.sop_classes import InformationModel
from pacs_sdk.storage import QueryLevel

__all__ = ["KindSearch"]

_MOST_QUERIES: Final = 64
"""Queries after which the rest stays unknown: what a series has shows as a rule in the first."""


_KEYS: Final = frozenset((*UNIQUE_KEYS.values(), "SpecificCharacterSet"))
"""What a retrieval is about, and how that is written."""


@attrs.define
class KindSearch:
    """Asks which SOP classes and transfer syntaxes the wanted instances have.

    The instances are asked for at once, which many peers answer though it is a relational query
    where the series is not named. Of those that don't, each series is asked for.
    """

    scu: QueryScu
    """What asks."""
    peer: Peer
    """Whom."""
    model: InformationModel
    """The information model."""
    kinds: dict[str, set[str]] = attrs.field(factory=dict, init=False)
    """The transfer syntaxes by SOP class; none where the peer doesn't tell them."""
    is_all: bool = attrs.field(default=True, init=False)
    """Whether nothing else can be among the instances, for all that the peer says."""
    _queries: int = attrs.field(default=0, init=False)
    _is_answered: bool = attrs.field(default=True, init=False)

    def run(self, identifier: DicomDataset) -> None:
        """Ask.

        Nothing is found where the peer does not answer such queries; the retrieval then goes on
        without the knowledge.

        Args:
            identifier: What is wanted.
        """
        keys = {
            tag.keyword: identifier[tag]
            for tag in identifier
            if tag.keyword in _KEYS and identifier[tag]
        }
        self._ask_for_images(keys)
        if not self.kinds and self._is_answered:
            self.is_all = True
            self._go_down(keys)
        self.is_all = self.is_all and bool(self.kinds)

    def _go_down(self, keys: Mapping[str, object]) -> None:
        """Ask level by level from the highest, whose key has to be there: not for everything."""
        above = [UNIQUE_KEYS[QueryLevel(one)] for one in self.model.levels if one != "IMAGE"]
        missing = [key for key in above if key not in keys]
        if above[0] in keys and missing and "IMAGE" in self.model.levels:
            self._ask_below(keys, missing)

    def _ask_below(self, keys: Mapping[str, object], missing: Sequence[str]) -> None:
        if not missing:
            self._ask_for_images(keys)
            return
        key, *rest = missing
        (level,) = (level for level, keyword in UNIQUE_KEYS.items() if keyword == key)
        for found in self._ask(level, {**keys, key: ""}):
            uid = found.get_string(key).value_or("")
            if uid:
                self._ask_below({**keys, key: uid}, rest)

    def _ask_for_images(self, keys: Mapping[str, object]) -> None:
        wanted = {"SOPInstanceUID": "", **keys, "SOPClassUID": "", "AvailableTransferSyntaxUID": ""}
        for found in self._ask(QueryLevel.IMAGE, wanted):
            sop_class = found.get_string("SOPClassUID").value_or("")
            syntaxes = found.get_strings("AvailableTransferSyntaxUID").value_or(())
            if is_valid_uid(sop_class):
                self.kinds.setdefault(sop_class, set()).update(filter(is_valid_uid, syntaxes))
            else:
                self.is_all = False

    def _ask(self, level: QueryLevel, keys: Mapping[str, object]) -> list[DicomDataset]:
        """Send a query; what is found before it fails is better than nothing."""
        matches: list[DicomDataset] = []
        self._queries += 1
        if self._queries > _MOST_QUERIES:
            self.is_all = False
            return matches
        question = DicomDataset(None, QueryRetrieveLevel=level.value, **keys)
        try:
            with raised(self.scu.stream(self.peer, question, self.model)) as found:
                matches.extend(found)
        except PacsException as exc:
            self.is_all = False
            self._is_answered = exc.error.code is ErrorCode.FIND_FAILED
        return matches
