"""Transcoding into the encapsulated transfer syntaxes (PS3.5 A.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import checked_uid, new_uid
from pacs_sdk.encoding.byte_spool import ByteSpool
from pacs_sdk.encoding.codecs.description import Codec, FrameDescription
from pacs_sdk.encoding.codecs.recompression import recompression
from pacs_sdk.encoding.codecs.registry import default_codecs
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.pixel_data.cell_syntaxes import CELL_SYNTAXES
from pacs_sdk.encoding.pixel_data.encapsulation import (
    SEQUENCE_DELIMITATION,
    FragmentWriter,
    OffsetTables,
    pixel_data_header,
)
from pacs_sdk.encoding.pixel_data.frames import DECODER_ERRORS
from pacs_sdk.encoding.pixel_data.further_frames import check_no_further_fragments
from pacs_sdk.encoding.pixel_data.spliced import Surroundings, encoded_around
from pacs_sdk.encoding.pixel_data.stored_frames import (
    StoredFrames,
    check_high_bit,
    native_value_bytes,
    numbers_alone,
    stored_frames,
)
from pacs_sdk.encoding.transcoding.transcode_job import (
    TranscodeJob,
    batch_encoder,
    frames_in_a_batch,
    in_batches,
)
from pacs_sdk.encoding.transcoding.transcoded_attributes import (
    LOSSY_SOURCES,
    RATIO_PLACEHOLDER,
    LossyStep,
    describe_pixels,
    mark_lossy,
    mark_lossy_source,
    ratio_text,
)

__all__ = ["compressed", "recompressed"]

_TABLE_BYTES_A_FRAME: Final = 16
"""What the longest offset tables take: offset and length of 64 bits."""

_HEADER_BYTES: Final = 64
"""More than the headers of Pixel Data, its first item and both Extended Offset Table elements
take: 12 + 8 + 12 + 12."""


def recompressed(job: TranscodeJob) -> Instance | None:
    """Give frames another compression without decoding them, where there is a way.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where a frame cannot be recompressed, or there are
            more than Number of Frames says.
        OSError: The source cannot be read.
    """
    source = job.source
    convert = recompression(source.syntax.uid, job.target.uid)
    if convert is None or not source.pixels.delimited:
        return None
    layout, located = source.pixel_layout(), source.located()
    check_no_further_fragments(located, layout, source.syntax)

    def encode(index: int) -> bytes:
        return convert(located.frame(index))

    return _Assembly(job, layout.frames, layout.frame).instance(encode)


def compressed(job: TranscodeJob) -> Instance:
    """Encode frames with a codec.

    Raises:
        PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX`` where no codec decodes the source or
            encodes the target, ``OPERATION_NOT_SUPPORTED`` where the target cannot hold such
            pixels, ``PIXEL_DATA_FAILED``, ``ENCODE_FAILED``, ``INVALID_UID``.
        OSError: The source cannot be read.
    """
    registry = default_codecs() if job.codecs is None else job.codecs
    encoder = registry.encoder_for(job.target.uid)
    if encoder is None:
        raise PacsException(
            ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX,
            f"no codec encodes {job.target.name}",
            transfer_syntax=job.target.uid,
        )
    frames = stored_frames(job.source, job.codecs)
    if job.target.uid not in CELL_SYNTAXES:
        check_high_bit(frames.description)
    stored = encoder.stored_as(frames.description, job.target.uid, job.options)
    describe_pixels(job.dataset, job.source.pixel_layout().frame, stored)
    if job.source.syntax.uid in LOSSY_SOURCES:
        mark_lossy_source(job.dataset)
    if not encoder.encodes_at_once(job.target.uid, job.options):
        job = attrs.evolve(job, threads=1)
    assembly = _Assembly(job, frames.frames, frames.description)
    encode = _frame_encoder(job, encoder, frames, stored)
    if encoder.is_lossy(job.target.uid, job.options):
        return assembly.lossy_instance(encode)
    return assembly.instance(encode)


def _frame_encoder(
    job: TranscodeJob, encoder: Codec, frames: StoredFrames, stored: FrameDescription
) -> Callable[[int], Buffer]:
    uid = job.target.uid
    batch = min(frames.frames, frames_in_a_batch(_frame_bytes(frames.description)))
    write = batch_encoder(encoder, stored, uid, job.options, batch)

    def encode(index: int) -> Buffer:
        values = frames.read(index)
        if uid not in CELL_SYNTAXES:
            values = numbers_alone(values, frames.description, index)
        try:
            return write(index, values)
        except DECODER_ERRORS as exc:
            words = " ".join(str(exc).split())
            raise PacsException(
                ErrorCode.ENCODE_FAILED,
                f"frame {index} cannot be encoded as {job.target.name}: {words}",
                frame=index,
            ) from None

    return encode


@attrs.frozen
class _Assembly:
    """Puts encoded frames and the rest of the data set together."""

    job: TranscodeJob
    """The task."""
    frames: int
    """Number of Frames."""
    description: FrameDescription
    """What a frame is before it is encoded."""

    def instance(self, encode: Callable[[int], Buffer]) -> Instance:
        """Make an instance that has lost nothing."""
        job = self.job
        around = encoded_around(job.dataset, job.target)
        writer, spool = self._spooled(encode, around)
        head = _head(around.before, writer.tables(job.offset_table))
        return attrs.evolve(
            job.instance, transfer_syntax_uid=job.target.uid, encoded=spool.finish(head)
        )

    def lossy_instance(self, encode: Callable[[int], Buffer]) -> Instance:
        """Make an instance that is marked as compressed with loss (PS3.3 C.7.6.1.1.5)."""
        job, own = self.job, self.job.instance
        step = LossyStep(
            own.sop_class_uid,
            own.sop_instance_uid,
            job.source.syntax,
            job.target,
            _result_uid(job),
        )
        # The ratio is known only at the end; what is written before the frames is as long as
        # with the longest there can be, or shorter.
        longest = job.dataset.copy()
        mark_lossy(longest, step, RATIO_PLACEHOLDER)
        writer, spool = self._spooled(encode, encoded_around(longest, job.target))
        before_bytes = native_value_bytes(self.frames, self.description)
        mark_lossy(job.dataset, step, ratio_text(before_bytes, writer.frame_bytes))
        before = encoded_around(job.dataset, job.target).before
        head = _head(before, writer.tables(job.offset_table))
        return Instance(
            own.sop_class_uid, step.sop_instance_uid, job.target.uid, spool.finish(head)
        )

    def _spooled(
        self, encode: Callable[[int], Buffer], around: Surroundings
    ) -> tuple[FragmentWriter, ByteSpool]:
        """Encode all frames and write them, and what follows; room is left for the rest."""
        job = self.job
        tables = _HEADER_BYTES + _TABLE_BYTES_A_FRAME * self.frames
        spool = ByteSpool(len(around.before) + tables)
        writer = FragmentWriter(job.target)
        frame_bytes = _frame_bytes(self.description)
        step = frames_in_a_batch(frame_bytes)
        frames = in_batches(encode, self.frames, frame_bytes, job.threads)
        for number, frame in enumerate(frames):
            for piece in writer.pieces(frame):
                spool.write(piece)
            if isinstance(frame, memoryview) and (number + 1) % step == 0:
                spool.keep()  # the next batch goes where these frames are
        spool.write(SEQUENCE_DELIMITATION)
        spool.write(around.after)
        return writer, spool


def _frame_bytes(description: FrameDescription) -> int:
    return description.values * description.dtype.itemsize


def _head(before: Buffer, tables: OffsetTables) -> bytes:
    return b"".join((before, pixel_data_header(tables), tables.basic_item))


def _result_uid(job: TranscodeJob) -> str:
    match job.new_sop_instance_uid:
        case str() as uid:
            return checked_uid(uid, "SOP Instance UID")
        case True:
            return new_uid()
    return job.instance.sop_instance_uid
