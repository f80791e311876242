"""The instance: what moves between network, storage and the user."""

from __future__ import annotations

import html
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, Unpack

import attrs
import numpy as np
from pydicom.config import IGNORE
from pydicom.uid import UID

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.tags import TagLike
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding.charsets import DEFAULT_POLICY, CharacterSetPolicy
from pacs_sdk.encoding.datasets.deflated import inflate
from pacs_sdk.encoding.datasets.elements import plain_bytes
from pacs_sdk.encoding.datasets.header import INDEX_TAGS, InstanceHeader
from pacs_sdk.encoding.datasets.lazy_dataset import LazyDataset, file_meta
from pacs_sdk.encoding.datasets.reader import Selection, decoded
from pacs_sdk.encoding.datasets.scanner import scanned
from pacs_sdk.encoding.datasets.writer import encode_dataset
from pacs_sdk.encoding.pixel_data.frames import frames_of_instance
from pacs_sdk.encoding.pixel_data.pixel_layout import FrameOptions
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    known_transfer_syntax,
)
from pacs_sdk.encoding.validation.checks import ValidationMode, check_dataset

if TYPE_CHECKING:
    from pacs_sdk.encoding.rendering import RenderedFrame, RenderSettings

__all__ = ["HEAD_BYTES", "Instance", "instance_from_dataset", "sop_uids_of"]

HEAD_BYTES: Final = 64 * 1024
"""How much of a data set is read for its header. Nearly every header ends before; where one
doesn't, the whole is scanned, memory-mapped if it is large."""

_META_TAGS: Final = (0x00020002, 0x00020003, 0x00020010)
"""Media Storage SOP Class UID, Media Storage SOP Instance UID, Transfer Syntax UID."""

_READ_ERRORS: Final = {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
}


@attrs.frozen(repr=False)
class Instance:
    """A SOP Instance: its identifiers and its data set, still encoded."""

    sop_class_uid: str
    """What kind of object it is."""
    sop_instance_uid: str
    """Which one it is."""
    transfer_syntax_uid: str
    """How the data set is encoded."""
    encoded: ByteSource
    """The data set's bytes, without preamble and file meta."""

    @property
    def syntax(self) -> TransferSyntax:
        """The transfer syntax.

        Raises:
            PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX``.
        """
        return known_transfer_syntax(self.transfer_syntax_uid)

    @property
    def size(self) -> int:
        """How many bytes the encoded data set has."""
        return self.encoded.size

    @edge(_READ_ERRORS)
    def header(
        self,
        tags: Collection[int] = INDEX_TAGS,
        policy: CharacterSetPolicy = DEFAULT_POLICY,
    ) -> InstanceHeader:
        """Take some attributes out of the encoded data set, without decoding it.

        Args:
            tags: The attributes wanted.
            policy: How the header reads text, whatever Specific Character Set says.

        Returns:
            ``Success`` with those that are there, or ``Failure`` with ``TRUNCATED``,
            ``DECODE_FAILED``, ``LIMIT_EXCEEDED``, ``UNSUPPORTED_TRANSFER_SYNTAX``,
            ``FILE_NOT_FOUND`` or ``FILE_READ_FAILED``.
        """
        syntax = self.syntax
        encoded = self.encoded
        if syntax.deflated or encoded.size <= HEAD_BYTES:
            return scanned(encoded.view(), syntax, tags, policy)
        try:
            header = scanned(encoded.head(HEAD_BYTES), syntax, tags, policy)
        except PacsException as exc:
            if exc.error.code is not ErrorCode.TRUNCATED:
                raise
        else:
            if header.stop_offset < HEAD_BYTES:  # else an element ends just where the head does
                return header
        return scanned(encoded.view(), syntax, tags, policy)

    @edge(_READ_ERRORS)
    def dataset(
        self,
        *,
        until: TagLike | None = None,
        tags: Collection[TagLike] | None = None,
        policy: CharacterSetPolicy = DEFAULT_POLICY,
        validation: ValidationMode = ValidationMode.LENIENT,
        logger: Logger | None = None,
    ) -> DicomDataset:
        """Decode the data set, or a part of it.

        Its ``.pydicom`` has the file meta that pydicom wants for decoding pixels.

        Args:
            until: Stop before this tag, such as ``"PixelData"``: what follows is not read.
            tags: Keep these top-level elements only, and Specific Character Set, Pixel
                Representation and private creators, which others need.
            policy: How text is decoded where Specific Character Set is absent or wrong.
            validation: What becomes of values that break the rules of their VR: nothing,
                unless it is asked for.
            logger: Where ``ValidationMode.WARN`` writes them.

        Returns:
            ``Success``, or ``Failure`` with the codes of :meth:`header`, ``INVALID_TAG``, or
            ``INVALID_VALUE`` from ``ValidationMode.STRICT``.
        """
        dataset = self._decoded(Selection(until, tags), policy)
        if validation is not ValidationMode.LENIENT:
            check_dataset(dataset, validation, logger, policy=policy)
        uids = (self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax_uid)
        dataset.file_meta = file_meta(dict(zip(_META_TAGS, uids, strict=True)))
        return DicomDataset(dataset)

    def _decoded(self, selection: Selection, policy: CharacterSetPolicy) -> LazyDataset:
        encoded, syntax = self.encoded, self.syntax
        if syntax.deflated:
            return decoded(inflate(encoded.view()), syntax, selection, policy)[0]
        if selection.stops_before_pixels and encoded.size > HEAD_BYTES:
            try:
                dataset, stop = decoded(
                    plain_bytes(encoded.head(HEAD_BYTES)), syntax, selection, policy
                )
            except PacsException as exc:
                if exc.error.code is not ErrorCode.TRUNCATED:
                    raise
            else:
                if stop < HEAD_BYTES:  # else an element ends just where the head does
                    return dataset
        return decoded(plain_bytes(encoded.view()), syntax, selection, policy)[0]

    @edge()
    def frames(self) -> np.ndarray:
        """Decode the pixels; see :func:`pacs_sdk.encoding.decode_frames`.

        Returns:
            ``Success`` with an array (frames, rows, columns[, samples]) of stored values,
            or ``Failure`` with ``PIXEL_DATA_FAILED`` or the codes of :meth:`header`.
        """
        return raised(frames_of_instance(self, FrameOptions()))

    @edge()
    def render(self, frame: int = 0, **settings: Unpack[RenderSettings]) -> RenderedFrame:
        """Render a frame for display; see :func:`pacs_sdk.encoding.render_frame`.

        Args:
            frame: Which one, from 0.
            **settings: The fields of :class:`pacs_sdk.encoding.RenderOptions`.

        Returns:
            ``Success``, which a notebook shows as a picture, or ``Failure`` with the codes of
            :func:`pacs_sdk.encoding.render_frame`.
        """
        # Rendering stands above instances, which it takes as a source.
        from pacs_sdk.encoding.rendering import render_frame

        return raised(render_frame(self, frame, **settings))

    def __repr__(self) -> str:
        return f"<Instance {self.sop_instance_uid}: {'; '.join(self._facts().values())}>"

    def _repr_html_(self) -> str:
        """Show what it is as a table in a notebook."""
        rows = {"SOP Instance UID": self.sop_instance_uid} | self._facts()
        cells = "".join(
            f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items()
        )
        return f"<table>{cells}</table>"

    def _facts(self) -> dict[str, str]:
        return {
            "SOP Class": UID(self.sop_class_uid, validation_mode=IGNORE).name,
            "Transfer syntax": UID(self.transfer_syntax_uid, validation_mode=IGNORE).name,
            "Size": f"{self.size:,} bytes",
        }


@edge()
def instance_from_dataset(
    dataset: DatasetLike,
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN,
    *,
    validation: ValidationMode = ValidationMode.STRICT,
    logger: Logger | None = None,
) -> Instance:
    """Encode a data set as an instance in memory.

    Args:
        dataset: It must have SOP Class UID and SOP Instance UID.
        syntax: How to encode it.
        validation: What becomes of values that break the rules of their VR. Values that are
            as they were read are not judged: what others wrote is passed on.
        logger: Where ``ValidationMode.WARN`` writes them.

    Returns:
        ``Success``, or ``Failure`` with ``MISSING_REQUIRED_VALUE``, ``INVALID_UID``,
        ``INVALID_VALUE`` or ``ENCODE_FAILED``.
    """
    typed = as_dataset(dataset)
    sop_class_uid, sop_instance_uid = sop_uids_of(typed)
    if validation is not ValidationMode.LENIENT:
        check_dataset(typed, validation, logger, changed_only=True)
    encoded = raised(encode_dataset(typed, syntax))
    return Instance(sop_class_uid, sop_instance_uid, syntax.uid, MemoryBytes(encoded))


def sop_uids_of(dataset: DicomDataset) -> tuple[str, str]:
    """Return SOP Class UID and SOP Instance UID of a data set.

    Raises:
        PacsException: ``MISSING_REQUIRED_VALUE`` or ``INVALID_UID``.
    """
    return (
        checked_uid(str(dataset.get("SOPClassUID", "")), "SOP Class UID"),
        checked_uid(str(dataset.get("SOPInstanceUID", "")), "SOP Instance UID"),
    )
