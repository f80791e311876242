"""The items of Request Attributes Sequence (0040,0275), from a header into their table."""

from __future__ import annotations

import struct
from typing import Final

import attrs
import pydicom
from sqlalchemy import Connection, bindparam, insert, select

from pacs_sdk.core.results import Success
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET
from pacs_sdk.encoding import InstanceHeader, TransferSyntax, decode_dataset, transfer_syntax
from pacs_sdk.storage.index.attributes import REQUEST_ATTRIBUTES, REQUEST_ATTRIBUTES_SEQUENCE
from pacs_sdk.storage.index.tables import request_attributes, series
from pacs_sdk.storage.index.upsert import lock_for_change
from pacs_sdk.storage.index.values import bounded_text
from pacs_sdk.storage.query.identifier import texts_of

__all__ = ["add_request_items", "request_items"]

_MAX_ITEMS: Final = 100
"""Items of a series that the index keeps: one for each step of a request; ten are many."""

_COLUMNS: Final = tuple(one.column for one in REQUEST_ATTRIBUTES.values())

_KNOWN: Final = select(*(request_attributes.c[name] for name in _COLUMNS)).where(
    request_attributes.c.series_fk == bindparam("series")
)


def add_request_items(
    connection: Connection, series_pk: int, header: InstanceHeader, transfer_syntax_uid: str
) -> None:
    """Add the items of an instance's header that a series doesn't have yet.

    Args:
        connection: In a transaction that writes.
        series_pk: The number of the series.
        header: The header.
        transfer_syntax_uid: How its data set is encoded.
    """
    if not header.raw.get(REQUEST_ATTRIBUTES_SEQUENCE):
        return
    items = request_items(header, transfer_syntax_uid)
    lock_for_change(connection, series, series_pk)  # another node may have the same to add
    known = {tuple(row) for row in connection.execute(_KNOWN, {"series": series_pk})}
    added = [item for item in items if tuple(item.values()) not in known]
    added = added[: _MAX_ITEMS - len(known)]
    if added:
        connection.execute(
            insert(request_attributes), [{"series_fk": series_pk, **item} for item in added]
        )


def request_items(header: InstanceHeader, transfer_syntax_uid: str) -> list[dict[str, str]]:
    """Return the items by column, each once; none of a sequence that cannot be read.

    A broken sequence is no reason to lose an instance: its object keeps it as it came.

    Args:
        header: The header.
        transfer_syntax_uid: How its data set is encoded.
    """
    match transfer_syntax(transfer_syntax_uid):
        case Success(known):
            syntax = attrs.evolve(known, deflated=False)  # the header has been inflated
        case _:
            return []
    decoded = decode_dataset(_data_set(header, syntax), syntax, policy=header.policy)
    if not isinstance(decoded, Success):
        return []
    character_set = header.raw.get(SPECIFIC_CHARACTER_SET)
    items: dict[tuple[str, ...], dict[str, str]] = {}
    for item in decoded.unwrap().pydicom[REQUEST_ATTRIBUTES_SEQUENCE].value or ():
        wanted = pydicom.Dataset()
        for tag in REQUEST_ATTRIBUTES:
            if tag in item:
                wanted[tag] = stored_element(item, tag)
        texts = {
            tag: text
            for tag, text in texts_of(wanted, character_set, header.policy)
            if isinstance(text, str)
        }
        values = {
            one.column: bounded_text(texts.get(tag, "")) for tag, one in REQUEST_ATTRIBUTES.items()
        }
        if any(values.values()):
            items.setdefault(tuple(values.values()), values)
    return list(items.values())


def _data_set(header: InstanceHeader, syntax: TransferSyntax) -> bytes:
    """Encode a data set of the sequence, and of the character set that its text is in."""
    order = "<" if syntax.little_endian else ">"
    encoded = b""
    for tag, vr in ((SPECIFIC_CHARACTER_SET, b"CS"), (REQUEST_ATTRIBUTES_SEQUENCE, b"SQ")):
        value = header.raw.get(tag, b"")
        encoded += struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        if not syntax.explicit_vr:
            encoded += struct.pack(f"{order}I", len(value))
        elif vr == b"CS":
            encoded += vr + struct.pack(f"{order}H", len(value))
        else:
            encoded += vr + b"\0\0" + struct.pack(f"{order}I", len(value))
        encoded += value
    return encoded
