"""The header scanner: some attributes of an encoded data set, nothing else built.

It is the first thing that happens to every received or loaded instance, so it is one
dense loop for explicit and one for implicit VR: no object is made for an element, no
value is touched that isn't wanted, and no call is made where it can be avoided.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.charsets import DEFAULT_POLICY, CharacterSetPolicy
from pacs_sdk.encoding.datasets.deflated import inflate_beginning
from pacs_sdk.encoding.datasets.element_runs import (
    SkipRun,
    nested_run_skipper,
    private_run_skipper,
    skip_nothing,
    skip_undefined,
)
from pacs_sdk.encoding.datasets.elements import (
    DELIMITER_GROUP,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Encoded,
    Layout,
    layout_of,
    plain_bytes,
    read_header,
    truncated,
    truncated_header,
)
from pacs_sdk.encoding.datasets.header import INDEX_TAGS, InstanceHeader
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["PIXEL_DATA_GROUP", "PIXEL_TAGS", "is_complete", "scan_header", "scanned"]

PIXEL_DATA_GROUP: Final = 0x7FE0
"""The group of Pixel Data and its float twins; the scan never goes past it."""

PIXEL_TAGS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
"""Float Pixel Data, Double Float Pixel Data and Pixel Data. A group length and the Extended
Offset Table may stand before them in their group."""

_SHORTEST_HEADER: Final = 8

_USUAL_HEADER_BYTES: Final = 64 * 1024
"""How much of a deflated data set is inflated for its header at first; nearly all are shorter."""

_MAX_DEFLATED_HEADER_BYTES: Final = 1 << 26
"""How much is inflated at most. The longest headers known, of segmentations with 12,000 frames,
have 10 MB; a megabyte can inflate to a gigabyte of elements, which take a minute to scan."""

_Values: TypeAlias = dict[int, Encoded]


@attrs.frozen(eq=False)
class _Plan:
    """What a scan looks for, worked out once for each set of tags and layout."""

    layout: Layout
    """How headers are laid out."""
    wanted: Mapping[int, int]
    """The wanted tags by the number that their four bytes make when unpacked as one."""
    last_group: int
    """The last group that is looked at."""
    private_bit: int
    """The bit of such a number that is set in a private tag."""
    short_codes: frozenset[int]
    """The two letters of VRs with a 16-bit length, as a number."""
    unpack_explicit: Callable[[Any, int], tuple[int, int, int]]
    """Tag, VR and 16-bit length."""
    unpack_implicit: Callable[[Any, int], tuple[int, int]]
    """Tag and 32-bit length."""
    skip_private: SkipRun
    """Skips a run of private elements; it always matches, if only nothing."""


@functools.lru_cache(maxsize=64)
def _plan(tags: frozenset[int], layout: Layout) -> _Plan:
    order = "<" if layout.little else ">"
    last_group = max((tag >> 16 for tag in tags), default=0)
    before = [tag for tag in tags if tag >> 16 < PIXEL_DATA_GROUP]
    # Read as one little endian number, the element comes before the group.
    wanted = {(tag & 0xFFFF) << 16 | tag >> 16 if layout.little else tag: tag for tag in before}
    wants_private = any(tag >> 16 & 1 for tag in before)
    return _Plan(
        layout=layout,
        wanted=wanted,
        last_group=min(last_group, PIXEL_DATA_GROUP - 1),
        private_bit=1 if layout.little else 1 << 16,
        short_codes=frozenset(struct.unpack(f"{order}H", vr)[0] for vr in SHORT_VRS),
        unpack_explicit=struct.Struct(f"{order}IHH").unpack_from,
        unpack_implicit=struct.Struct(f"{order}II").unpack_from,
        skip_private=skip_nothing if wants_private else private_run_skipper(layout),
    )


@edge()
def scan_header(
    data: Buffer,
    syntax: TransferSyntax,
    tags: Collection[int] = INDEX_TAGS,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> InstanceHeader:
    """Take some top-level attributes out of an encoded data set.

    Args:
        data: The data set without file meta, or its beginning if that reaches beyond
            the group of the last wanted tag; where ``stop_offset`` is the length of a
            beginning, it may not have.
        syntax: How it is encoded.
        tags: The attributes wanted; those of group 7FE0 and later are not looked for.
        policy: How the header reads text, whatever Specific Character Set says.

    Returns:
        ``Success`` with those of them that are there, or ``Failure`` with ``TRUNCATED``,
        ``DECODE_FAILED`` or ``LIMIT_EXCEEDED`` naming tag and byte offset.
    """
    return scanned(data, syntax, tags, policy)


def scanned(
    data: Buffer,
    syntax: TransferSyntax,
    tags: Collection[int],
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> InstanceHeader:
    """Do what :func:`scan_header` does, for use inside this layer.

    Raises:
        PacsException: The failures of :func:`scan_header`.
    """
    if syntax.deflated:
        return _scanned_deflated(data, syntax, tags, policy)
    encoded = plain_bytes(data)
    layout = layout_of(encoded, syntax)
    plan = _plan(frozenset(tags), layout)
    scan = _scan_explicit if layout.explicit else _scan_implicit
    values, stop = scan(encoded, plan)
    raw = values if type(encoded) is bytes else {tag: bytes(part) for tag, part in values.items()}
    # What was wanted is bytes by now.
    return InstanceHeader(raw, layout.little, stop, policy)  # type: ignore[arg-type]


def _scanned_deflated(
    data: Buffer, syntax: TransferSyntax, tags: Collection[int], policy: CharacterSetPolicy
) -> InstanceHeader:
    """Scan what inflates to the header; the pixels behind it stay compressed."""
    inflated = attrs.evolve(syntax, deflated=False)
    for most in (_USUAL_HEADER_BYTES, _MAX_DEFLATED_HEADER_BYTES):
        beginning, whole = inflate_beginning(data, most)
        try:
            header = scanned(beginning, inflated, tags, policy)
        except PacsException as exc:
            if whole or exc.error.code is not ErrorCode.TRUNCATED:
                raise
        else:
            if whole or header.stop_offset < len(beginning):
                return header
    raise PacsException(
        ErrorCode.LIMIT_EXCEEDED,
        f"the header of the deflated data set is longer than {_MAX_DEFLATED_HEADER_BYTES} bytes",
        limit=_MAX_DEFLATED_HEADER_BYTES,
    )


def _scan_explicit(data: Encoded, plan: _Plan) -> tuple[_Values, int]:
    """Scan explicit VR (PS3.5 7.1.2).

    A value is sliced without comparing its length with what remains: if it is too long,
    the next header lies beyond the end, unpacking it fails, and the check after the loop
    says what was cut. The stop condition is looked at only with long VRs, which Pixel
    Data and the large sequences have; skipping a short element too many costs less than
    a comparison for each.
    """
    values: _Values = {}
    wanted, last_group, private_bit = plan.wanted, plan.last_group, plan.private_bit
    unpack, short_codes, skip_private = plan.unpack_explicit, plan.short_codes, plan.skip_private
    layout = plan.layout
    at = pos = 0
    try:
        while True:
            key, code, length = unpack(data, pos)
            at = pos
            if code in short_codes:
                pos += length + 8
                if key in wanted:
                    values[wanted[key]] = data[at + 8 : pos]
                elif key & private_bit:
                    run_end = skip_private(data, pos).end()  # type: ignore[union-attr]
                    if run_end > pos:  # noqa: PLR1730  # not beyond the end; max() is a call
                        pos = run_end
                continue
            tag, vr, length, start = read_header(data, at, layout)
            if tag >> 16 > last_group and not _is_stray_delimiter(tag, length):
                return values, at
            if length == UNDEFINED_LENGTH:
                pos = skip_undefined(data, start, vr, layout)
                if key in wanted:  # with the delimiter at its end
                    values[wanted[key]] = data[start:pos]
                continue
            pos = start + length
            if key in wanted:
                values[wanted[key]] = data[start:pos]
    except struct.error:  # no room for another header
        pass
    return values, _checked_stop(data, plan, at, pos)


def _scan_implicit(data: Encoded, plan: _Plan) -> tuple[_Values, int]:
    """Scan implicit VR (PS3.5 7.1.3); lengths are checked as in :func:`_scan_explicit`."""
    values: _Values = {}
    wanted, last_group, private_bit = plan.wanted, plan.last_group, plan.private_bit
    unpack, skip_private, layout = plan.unpack_implicit, plan.skip_private, plan.layout
    little = layout.little
    at = pos = 0
    try:
        while True:
            key, length = unpack(data, pos)
            at = pos
            pos += 8
            if length == UNDEFINED_LENGTH:
                if read_header(data, at, layout)[0] >> 16 > last_group:
                    return values, at
                pos = skip_undefined(data, pos, None, layout)
                if key in wanted:  # with the delimiter at its end
                    values[wanted[key]] = data[at + 8 : pos]
                continue
            pos += length
            if key in wanted:
                values[wanted[key]] = data[at + 8 : pos]
            elif key & private_bit:
                run_end = skip_private(data, pos).end()  # type: ignore[union-attr]
                if run_end > pos:  # noqa: PLR1730  # as above
                    pos = run_end
            elif (key & 0xFFFF if little else key >> 16) > last_group:
                tag = read_header(data, at, layout)[0]
                if not _is_stray_delimiter(tag, length):
                    return values, at
    except struct.error:  # no room for another header
        pass
    return values, _checked_stop(data, plan, at, pos)


def _is_stray_delimiter(tag: int, length: int) -> bool:
    """Whether this ends an item that never began: some writers leave such behind."""
    return tag >> 16 == DELIMITER_GROUP and length == 0


def _checked_stop(data: Encoded, plan: _Plan, at: int, pos: int) -> int:
    """Tell a complete end of the data from one inside an element that matters.

    ``at`` is where the last element began, ``pos`` where the next one should.
    """
    size = len(data)
    if pos == size:
        return size
    if at < size and pos > size:
        tag, _, length, start = read_header(data, at, plan.layout)
        if tag >> 16 > plan.last_group:
            return at
        raise truncated(tag, at, length, size - start)
    if any(data[pos:]):
        raise truncated_header(size, pos)
    return size


def is_complete(
    head: Buffer,
    size: int,
    syntax: TransferSyntax,
    skip_fragments: Callable[[int], int] | None = None,
) -> bool:
    """Tell by the element headers alone whether a data set reaches its end.

    What follows Pixel Data is not looked at: padding and rubbish there are common and
    harmless.

    Args:
        head: The data set or its beginning, inflated.
        size: How many bytes the data set has.
        syntax: How it is encoded.
        skip_fragments: Finds the end of encapsulated Pixel Data that begins at an offset;
            the head is walked where it isn't given.

    Returns:
        True if it is complete, False if more than the head is needed to tell.

    Raises:
        PacsException: ``TRUNCATED`` naming the element that is cut off; or
            ``DECODE_FAILED`` or ``LIMIT_EXCEEDED`` for a broken sequence.
    """
    data = plain_bytes(head)
    known = len(data)
    layout = layout_of(data, syntax)
    skip = nested_run_skipper(layout)
    longest_header = 12 if layout.explicit else _SHORTEST_HEADER
    pos = skip(data, 0).end()  # type: ignore[union-attr]  # it matches, if only nothing
    while pos < size:
        if known < size and known - pos < longest_header:
            return False
        if size - pos < _SHORTEST_HEADER and not any(data[pos:]):
            return True
        tag, vr, length, start = read_header(data, pos, layout)
        if length != UNDEFINED_LENGTH:
            end = start + length
        elif skip_fragments is not None and tag in PIXEL_TAGS:
            end = skip_fragments(start)
        else:
            try:
                end = skip_undefined(data, start, vr, layout)
            except PacsException as exc:
                if known < size and exc.error.code is ErrorCode.TRUNCATED:
                    return False
                raise
        if end > size:
            raise truncated(tag, pos, length, size - start)
        if tag in PIXEL_TAGS:
            return True
        pos = skip(data, end).end()  # type: ignore[union-attr]
    return True
