"""What a client asks: an identifier, the model it is of, and what has to be negotiated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import CharacterSets, character_sets, charset_for
from pacs_sdk.services.query.fields import value_field, vr_of, vr_of_value
from pacs_sdk.services.query.models import missing_unique_keys
from pacs_sdk.services.query.negotiation import FindNegotiation
from pacs_sdk.services.sop_classes import InformationModel
from pacs_sdk.storage import Query, QueryLevel
from pacs_sdk.storage.query.identifier import identifier_keys

__all__ = ["Question", "identifier_of"]

_QUERY_RETRIEVE_LEVEL: Final = 0x00080052

_SHOWN: Final = 40
"""Characters of a key that an error repeats."""


@attrs.frozen
class Question:
    """One C-FIND, ready to be sent."""

    identifier: DicomDataset = attrs.field(eq=False)
    """The identifier."""
    level: QueryLevel
    """Its level."""
    model: InformationModel
    """The information model."""
    required: FindNegotiation
    """What the peer has to agree to, or else the answer would mean something else."""
    proposed: FindNegotiation
    """That, and relational queries where unique keys are missing: an archive that does not
    negotiate them may answer them all the same."""
    limit: int | None
    """How many matches are wanted."""
    order: tuple[int, ...] = ()
    """The tags of what was asked for, in the order in which a match shows them."""

    @classmethod
    def of(
        cls,
        asked: DatasetLike | Query,
        model: InformationModel | None,
        limit: int | None,
        required: FindNegotiation,
    ) -> Question:
        """Put a question together.

        Args:
            asked: An identifier or a query.
            model: The information model; chosen by the level if ``None``.
            limit: How many matches are wanted; the query's own limit holds, too.
            required: What the peer has to agree to.

        Raises:
            PacsException: ``FIND_INVALID_IDENTIFIER`` without a level, ``INVALID_ARGUMENT``
                for a limit that is none and for a query with an order or an offset.
        """
        if isinstance(asked, Query):
            identifier = raised(identifier_of(asked))
            required |= FindNegotiation.of_options(asked.options)
            limits = [one for one in (limit, asked.limit) if one is not None]
            limit = min(limits) if limits else None
            level: QueryLevel = asked.level
            keys = asked.matching
            order = asked.return_keys
        else:
            identifier = as_dataset(asked)
            level = _level_of(identifier)
            keys, _ = identifier_keys(identifier.pydicom)
            order = tuple(keys)
        if limit is not None and limit < 1:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT, f"a limit of {limit} matches; 1 is the least"
            )
        by_patient = level is QueryLevel.PATIENT
        default = InformationModel.PATIENT_ROOT if by_patient else InformationModel.STUDY_ROOT
        chosen = model or default
        proposed = required
        if missing_unique_keys(chosen, level, keys):
            proposed |= FindNegotiation(relational=True)
        return cls(identifier, level, chosen, required, proposed, limit, order)


@edge()
def identifier_of(query: Query) -> DicomDataset:
    """Write a query as the identifier of a C-FIND (PS3.4 C.4.1.1.3).

    Args:
        query: Its keys and return keys; C-FIND knows no order, and no pages.

    Returns:
        ``Success`` with the identifier, whose Specific Character Set is the smallest that
        has its text, or ``Failure`` with ``INVALID_ARGUMENT`` for a query with an order, an
        offset or a token, or ``ENCODE_FAILED`` for text that is in no character set.
    """
    if query.sort or query.offset or query.after:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            "a C-FIND has no order, offset or token; sort what comes, and stop when it is enough",
        )
    texts = [*query.matching.values()]
    for keys in query.items.values():
        texts += keys.matching.values()
    terms = "\\".join(raised(charset_for(part for text in texts for part in text.split("\\"))))
    sets = character_sets(terms.encode())
    dataset = _keys(dict.fromkeys(query.return_keys, "") | dict(query.matching), sets)
    for tag, inner in query.items.items():
        item = _keys(dict.fromkeys(inner.return_keys, "") | dict(inner.matching), sets)
        dataset[tag] = DataElement(tag, VR.SQ.value, [item])
    for tag, text in ((SPECIFIC_CHARACTER_SET, terms), (_QUERY_RETRIEVE_LEVEL, query.level.value)):
        if text:
            dataset[tag] = _key(tag, text, sets)
    return DicomDataset(dataset)


def _keys(texts: Mapping[int, str], sets: CharacterSets) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    for tag, text in texts.items():
        dataset[tag] = _key(tag, text, sets)
    return dataset


def _key(tag: int, text: str, sets: CharacterSets) -> DataElement | RawDataElement:
    """Make a key of bytes: pydicom would not take all that is good to match with as a value."""
    vr = vr_of_value(vr_of(tag), text)
    if vr is VR.SQ:
        return DataElement(tag, vr.value, [])
    value = value_field(vr, text, sets)
    if text and not value:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{DicomTag(tag).keyword or DicomTag(tag)} has values of {vr}: "
            f"{text[:_SHOWN]!r} cannot be matched with them",
            tag=str(DicomTag(tag)),
        )
    return RawDataElement(BaseTag(tag), vr.value, len(value), value, 0, False, True)


def _level_of(identifier: DicomDataset) -> QueryLevel:
    level = str(identifier.get("QueryRetrieveLevel") or "")
    if level not in QueryLevel.__members__:
        raise PacsException(
            ErrorCode.FIND_INVALID_IDENTIFIER,
            f"Query/Retrieve Level is {level!r}; give PATIENT, STUDY, SERIES or IMAGE",
        )
    return QueryLevel(level)
