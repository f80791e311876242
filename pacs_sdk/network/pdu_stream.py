"""The stream of bytes from the peer, cut into PDUs as it arrives (PS3.8 9.3).

Every PDU but P-DATA-TF is collected whole and decoded. A P-DATA-TF is never collected:
its items are reported when their headers are there, and their data in views of whatever
has arrived, so that an image is not copied on its way.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.pdu import AbortReason, Pdu, PduType
from pacs_sdk.network.pdu_codec import MAX_ASSOCIATE_PDU_LENGTH, decode_pdu

__all__ = ["PduReceiver", "PduStream"]

_HEADER_LENGTH: Final = 6
_PDU_HEADER: Final = struct.Struct(">BxL")
_PDV_HEADER: Final = struct.Struct(">LBB")
_BOTH_HEADERS: Final = struct.Struct(">BxLLBB")
"""A P-DATA-TF with one item, as nearly everybody sends it: its own header and the item's."""

_BOTH_LENGTH: Final = _BOTH_HEADERS.size
_unpack_both: Final = _BOTH_HEADERS.unpack_from

_SHORTEST: Final = 6
"""The length of a P-DATA-TF with one empty item."""

_LONGEST: Final = 0xFFFF_FFFF
"""What the length field of a P-DATA-TF can say."""

_IS_COMMAND: Final = 0x01
_IS_LAST: Final = 0x02
"""Bits of the message control header (PS3.8 E.2)."""

_P_DATA_TF: Final = int(PduType.P_DATA_TF)
_WHOLE_PDUS: Final = frozenset(PduType) - {PduType.P_DATA_TF}


class _Expect(enum.Enum):
    """What the next bytes of the stream are."""

    PDU_HEADER = enum.auto()
    PDU_BODY = enum.auto()
    PDV_HEADER = enum.auto()
    PDV_DATA = enum.auto()
    IGNORED_DATA = enum.auto()


class PduReceiver(Protocol):
    """What the stream reports to."""

    def pdu_received(self, pdu_type: PduType, pdu: Pdu) -> None:
        """Take a whole PDU, any but P-DATA-TF."""

    def data_begins(self) -> bool:
        """Learn that a P-DATA-TF begins; tell whether its items are wanted."""

    def item_begins(self, context_id: int, length: int, *, is_command: bool) -> None:
        """Learn that a presentation data value item begins, and how long its data is."""

    def more_items(self, count: int) -> None:
        """Learn that the item of data which began was followed by others like it."""

    def data_received(self, pieces: Sequence[memoryview], *, is_last: bool) -> None:
        """Take pieces of these items; ``is_last`` with the end of a message's last fragment."""


class PduStream:
    """Finds the PDUs in a stream that may be cut anywhere.

    Args:
        receiver: Told of what was found.
        maximum_length: The longest P-DATA-TF allowed, in bytes; 0 is no limit.
        decode: Reads what is no P-DATA-TF; raises what :func:`decode_pdu` does.
    """

    def __init__(
        self,
        receiver: PduReceiver,
        maximum_length: int,
        decode: Callable[[bytes | memoryview], Pdu] = decode_pdu,
    ) -> None:
        self._receiver = receiver
        self._longest = maximum_length or _LONGEST
        self._decode = decode
        self._expect = _Expect.PDU_HEADER
        self._pending = bytearray()
        self._body_length = 0
        self._pdu_remaining = 0
        self._pdv_remaining = 0
        self._control = 0

    @property
    def is_within_pdu(self) -> bool:
        """Whether some of a PDU has come, and the rest has not."""
        return self._expect is not _Expect.PDU_HEADER or bool(self._pending)

    def take(self, view: memoryview) -> memoryview:
        """Take some steps through the stream, one at least; return what is left of the view.

        Raises:
            PacsException: ``INVALID_PDU``; what follows in the stream has no meaning then.
        """
        if self._expect is _Expect.PDV_DATA:
            view = self._take_data(view)
        if self._expect is _Expect.PDU_HEADER and not self._pending:
            view = self._take_whole_items(view)
        if not view.nbytes:
            return view
        end = self._end_of_whole_pdu(view)
        if end:
            self._whole_pdu(view[:end])
            return view[end:]
        return self._take_step(view)

    def _end_of_whole_pdu(self, view: memoryview) -> int:
        """Tell where a PDU ends that is here from first to last, as it nearly always comes.

        Returns:
            0 if there is none, or it is a P-DATA-TF.
        """
        if self._expect is not _Expect.PDU_HEADER or self._pending or view.nbytes < _HEADER_LENGTH:
            return 0
        pdu_type, length = _PDU_HEADER.unpack_from(view)
        end: int = _HEADER_LENGTH + length
        return end if pdu_type in _WHOLE_PDUS and end <= view.nbytes else 0

    def _take_whole_items(self, view: memoryview) -> memoryview:
        """Take P-DATA-TF PDUs of one item, as long as there are such; return what is left.

        Performance-critical: all of an image passes here, so both headers are read at once,
        and the receiver hears of all that lies here of a data set at a time. Whatever is not
        as usual is left to :meth:`_take_step`.
        """
        receiver, offset, end = self._receiver, 0, view.nbytes
        while end - offset >= _BOTH_LENGTH:
            pdu_type, length, item_length, context_id, control = _unpack_both(view, offset)
            if pdu_type != _P_DATA_TF or length != item_length + 4 or item_length < 2:
                break
            if not receiver.data_begins():
                self._pdu_remaining, self._expect = length, _Expect.IGNORED_DATA
                return view[offset + _HEADER_LENGTH :]
            self._check_data_length(length)
            is_command = bool(control & _IS_COMMAND)
            receiver.item_begins(context_id, item_length - 2, is_command=is_command)
            start, offset = offset + _BOTH_LENGTH, offset + _HEADER_LENGTH + length
            pieces = [view[start:offset]]
            if not control and end - offset >= _BOTH_LENGTH:
                control, offset = self._followers(view, offset, context_id, pieces)
            if offset > end:
                self._expect, self._control = _Expect.PDV_DATA, control
                self._pdu_remaining, self._pdv_remaining = 0, offset - end
                receiver.data_received(pieces, is_last=False)
                return view[end:]
            receiver.data_received(pieces, is_last=bool(control & _IS_LAST))
        return view[offset:] if offset else view

    def _followers(
        self, view: memoryview, offset: int, context_id: int, pieces: list[memoryview]
    ) -> tuple[int, int]:
        """Collect the PDUs behind one that brought data, which bring more of the same.

        Returns:
            The message control header of the last, and where it ends, perhaps behind the view.
        """
        last_start, longest = view.nbytes - _BOTH_LENGTH, self._longest
        control = 0
        while offset <= last_start and not control:
            pdu_type, length, item_length, other_id, flags = _unpack_both(view, offset)
            if (
                pdu_type != _P_DATA_TF
                or length != item_length + 4
                or not _SHORTEST <= length <= longest
                or other_id != context_id
                or flags & _IS_COMMAND
            ):
                break
            start, offset = offset + _BOTH_LENGTH, offset + _HEADER_LENGTH + length
            pieces.append(view[start:offset])
            control = flags & _IS_LAST
        if len(pieces) > 1:
            self._receiver.more_items(len(pieces) - 1)
        return control, offset

    def _take_step(self, view: memoryview) -> memoryview:
        """Take one step through the stream, whatever comes; return what is left of the view."""
        expect = self._expect
        if expect is _Expect.PDV_DATA:
            return self._take_data(view)
        if expect is _Expect.IGNORED_DATA:
            return self._ignore_data(view)
        wanted = self._body_length if expect is _Expect.PDU_BODY else _HEADER_LENGTH
        if self._pending or view.nbytes < wanted:
            missing = wanted - len(self._pending)
            self._pending += view[:missing]
            view = view[missing:]
            if len(self._pending) < wanted:
                return view
            whole: bytes | memoryview = bytes(self._pending)
            self._pending.clear()
        else:
            whole, view = view[:wanted], view[wanted:]
        if expect is _Expect.PDU_HEADER:
            self._pdu_header(whole)
        elif expect is _Expect.PDV_HEADER:
            self._pdv_header(whole)
        else:
            self._whole_pdu(whole)
        return view

    def ignore_rest_of_pdu(self) -> None:
        """Drop what is still to come of a P-DATA-TF: after an abort nobody wants it."""
        if self._expect is _Expect.PDV_DATA:
            self._pdu_remaining += self._pdv_remaining
        elif self._expect is _Expect.PDV_HEADER:
            self._pdu_remaining -= len(self._pending)
            self._pending.clear()
        else:
            return
        self._expect = _Expect.IGNORED_DATA

    # -- PDUs ------------------------------------------------------------------------

    def _pdu_header(self, header: bytes | memoryview) -> None:
        pdu_type, length = _PDU_HEADER.unpack(header)
        if pdu_type == _P_DATA_TF:
            wanted = self._receiver.data_begins()
            self._pdu_remaining = length
            if wanted:
                self._check_data_length(length)
                self._expect_item()
            elif length:
                self._expect = _Expect.IGNORED_DATA
            return
        if pdu_type not in _WHOLE_PDUS:
            raise PacsException(
                ErrorCode.INVALID_PDU,
                f"no PDU begins with byte {pdu_type:02X}H; is the peer a DICOM application?",
                abort_reason=int(AbortReason.UNRECOGNIZED_PDU),
            )
        if length > MAX_ASSOCIATE_PDU_LENGTH:
            raise PacsException(
                ErrorCode.INVALID_PDU,
                f"{PduType(pdu_type).name} claims {length} bytes, more than any can have",
            )
        if not length:
            self._whole_pdu(header)
            return
        self._body_length = _HEADER_LENGTH + length
        self._pending += header
        self._expect = _Expect.PDU_BODY

    def _whole_pdu(self, whole: bytes | memoryview) -> None:
        self._expect = _Expect.PDU_HEADER
        self._receiver.pdu_received(PduType(whole[0]), self._decode(whole))

    # -- P-DATA-TF ---------------------------------------------------------------------

    def _check_data_length(self, length: int) -> None:
        if not length:  # else a peer could keep an association alive and say nothing
            raise PacsException(ErrorCode.INVALID_PDU, "a P-DATA-TF has no PDV item")
        if length > self._longest:
            raise PacsException(
                ErrorCode.INVALID_PDU,
                f"a P-DATA-TF of {length} bytes exceeds the {self._longest} we allow",
            )

    def _expect_item(self) -> None:
        """Go on to the next item of the P-DATA-TF, or to the next PDU."""
        remaining = self._pdu_remaining
        if 0 < remaining < _HEADER_LENGTH:
            raise PacsException(
                ErrorCode.INVALID_PDU, f"{remaining} bytes are left over in a P-DATA-TF"
            )
        self._expect = _Expect.PDV_HEADER if remaining else _Expect.PDU_HEADER

    def _pdv_header(self, header: bytes | memoryview) -> None:
        length, context_id, control = _PDV_HEADER.unpack(header)
        if length < 2 or length + 4 > self._pdu_remaining:
            raise PacsException(
                ErrorCode.INVALID_PDU,
                f"a PDV claims {length} bytes where {self._pdu_remaining - 4} remain in its PDU",
            )
        self._pdu_remaining -= length + 4
        self._pdv_remaining = length - 2
        self._control = control
        self._receiver.item_begins(
            context_id, self._pdv_remaining, is_command=bool(control & _IS_COMMAND)
        )
        self._expect = _Expect.PDV_DATA
        if not self._pdv_remaining:
            self._take_data(memoryview(b""))

    def _take_data(self, view: memoryview) -> memoryview:
        piece, view = view[: self._pdv_remaining], view[self._pdv_remaining :]
        self._pdv_remaining -= piece.nbytes
        item_ended = not self._pdv_remaining
        if item_ended:
            self._expect_item()
        is_last = item_ended and bool(self._control & _IS_LAST)
        self._receiver.data_received((piece,), is_last=is_last)
        return view

    def _ignore_data(self, view: memoryview) -> memoryview:
        ignored = min(view.nbytes, self._pdu_remaining)
        self._pdu_remaining -= ignored
        if not self._pdu_remaining:
            self._expect = _Expect.PDU_HEADER
        return view[ignored:]
