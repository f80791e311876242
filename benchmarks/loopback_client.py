"""A client that costs next to nothing, so that what is measured is the server.

It sends bytes that were laid out once, and looks at no more of the answers than it has to.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self

from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.network import ProposedContext
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CFindRQ,
    CStoreRQ,
    Response,
    Status,
    decode_command,
    encode_command,
)
from pacs_sdk.network.negotiation import association_request
from pacs_sdk.network.pdu import AReleaseRQ, PduType
from pacs_sdk.network.pdu_codec import encode_pdu, pdata_header

__all__ = [
    "CT_IMAGE_STORAGE",
    "STUDY_ROOT_FIND",
    "VERIFICATION",
    "Client",
    "find_message",
    "store_message",
]

VERIFICATION: Final = "1.2.840.10008.1.1"
CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"

_CONTEXT_ID: Final = 1
_FRAGMENT_BYTES: Final = 131_072 - 6
"""The data of a P-DATA-TF of the length that all servers here are told to take."""

_TIMEOUT_S: Final = 60.0
_PDU_HEADER: Final = struct.Struct(">BxI")
_PDV_HEADER_BYTES: Final = 6
_PDV_HEADER: Final = struct.Struct(">IxB")
_IS_COMMAND: Final = 1
_STATUS_ELEMENT: Final = struct.pack("<HHI", 0, 0x0900, 2)


def _request(abstract_syntax: str, *syntaxes: str) -> bytes:
    context = ProposedContext(abstract_syntax, syntaxes)
    return encode_pdu(association_request("LOOPBACK", "ANY", [context]))


_REQUESTS: Final = {
    VERIFICATION: _request(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN.uid),
    CT_IMAGE_STORAGE: _request(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN.uid),
    STUDY_ROOT_FIND: _request(STUDY_ROOT_FIND, EXPLICIT_VR_LITTLE_ENDIAN.uid),
}
_RELEASE: Final = encode_pdu(AReleaseRQ())
_ECHO_COMMAND: Final = encode_command(CEchoRQ(1), has_dataset=False)
_ECHO: Final = pdata_header(_CONTEXT_ID, True, True, len(_ECHO_COMMAND)) + _ECHO_COMMAND


class Client:
    """One association with a server on this machine.

    Args:
        port: The server's.
        abstract_syntax: The one that is proposed.
    """

    def __init__(self, port: int, abstract_syntax: str = VERIFICATION) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._socket.sendall(_REQUESTS[abstract_syntax])
        self._read(PduType.A_ASSOCIATE_AC)

    def echo(self) -> None:
        """Send a C-ECHO and wait for its response."""
        self._socket.sendall(_ECHO)
        self._read(PduType.P_DATA_TF)

    def store(self, pieces: Iterable[Sequence[bytes | memoryview]]) -> None:
        """Send what :func:`store_message` laid out, and wait until it is stored."""
        for piece in pieces:
            self.send(piece)
        command = decode_command(self._read(PduType.P_DATA_TF)[_PDV_HEADER_BYTES:]).message
        if not isinstance(command, Response) or command.status != Status.SUCCESS:
            raise RuntimeError(f"the server did not store it: {command}")

    def find(self, message: Sequence[bytes]) -> int:
        """Send what :func:`find_message` laid out; return how many matches came."""
        self.send(message)
        count = 0
        while True:
            body = self._read(PduType.P_DATA_TF)
            at = 0
            while at < len(body):
                length, flags = _PDV_HEADER.unpack_from(body, at)
                if flags & _IS_COMMAND:
                    status = _status_of(body[at + _PDV_HEADER_BYTES : at + 4 + length])
                    if status == Status.SUCCESS:
                        return count
                    if status not in (Status.PENDING, Status.PENDING_WITH_WARNING):
                        raise RuntimeError(f"the server did not find it: {status:04X}H")
                    count += 1
                at += 4 + length

    def send(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Send buffers without joining them."""
        sent = self._socket.sendmsg(buffers)
        for buffer in buffers:
            size = len(buffer)
            if sent < size:
                self._socket.sendall(memoryview(buffer)[sent:])
            sent = max(0, sent - size)

    def release(self) -> None:
        """Release the association and close the connection."""
        self._socket.sendall(_RELEASE)
        self._read(PduType.A_RELEASE_RP)
        self.close()

    def fileno(self) -> int:
        """Return the descriptor of the connection, to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection without a word."""
        self._socket.close()

    def _read(self, kind: PduType) -> bytes:
        """Read a PDU, which has to be of this kind; return what follows its header."""
        while len(self._received) < _PDU_HEADER.size:
            self._read_more()
        found, length = _PDU_HEADER.unpack_from(self._received)
        end = _PDU_HEADER.size + length
        while len(self._received) < end:
            self._read_more()
        if found != kind:
            raise RuntimeError(f"the server sent a PDU of type {found}, not {kind.name}")
        body = bytes(self._received[_PDU_HEADER.size : end])
        del self._received[:end]
        return body

    def _read_more(self) -> None:
        received = self._socket.recv(1 << 16)
        if not received:
            raise RuntimeError("the server closed the connection")
        self._received += received

    @classmethod
    @contextlib.contextmanager
    def associations(cls, port: int, count: int) -> Iterator[list[Self]]:
        """Keep idle associations open for a while."""
        with contextlib.ExitStack() as opened:
            clients = []
            for _ in range(count):
                clients.append(cls(port))
                opened.callback(clients[-1].close)
            yield clients


def store_message(
    sop_instance_uid: str, pieces: Iterable[bytes | memoryview]
) -> Iterator[list[bytes | memoryview]]:
    """Lay out a C-STORE of a CT image.

    Args:
        sop_instance_uid: The instance's.
        pieces: Its data set, each piece an even number of bytes; none is copied.

    Yields:
        Buffers to send, those of one piece at a time.
    """
    command = encode_command(CStoreRQ(1, CT_IMAGE_STORAGE, sop_instance_uid), has_dataset=True)
    buffers: list[bytes | memoryview] = [
        pdata_header(_CONTEXT_ID, True, True, len(command)),
        command,
    ]
    views = iter(pieces)
    piece: bytes | memoryview | None = next(views)
    while piece is not None:
        view, following = memoryview(piece), next(views, None)
        for start in range(0, len(view), _FRAGMENT_BYTES):
            part = view[start : start + _FRAGMENT_BYTES]
            is_last = following is None and start + _FRAGMENT_BYTES >= len(view)
            buffers += (pdata_header(_CONTEXT_ID, False, is_last, len(part)), part)
        yield buffers
        buffers, piece = [], following


def find_message(identifier: bytes) -> tuple[bytes, ...]:
    """Lay out a C-FIND in the Study Root model.

    Args:
        identifier: It, in Explicit VR Little Endian.
    """
    command = encode_command(CFindRQ(1, STUDY_ROOT_FIND), has_dataset=True)
    return (
        pdata_header(_CONTEXT_ID, True, True, len(command)),
        command,
        pdata_header(_CONTEXT_ID, False, True, len(identifier)),
        identifier,
    )


def _status_of(command: bytes) -> int:
    at = command.find(_STATUS_ELEMENT)
    return int.from_bytes(command[at + 8 : at + 10], "little")
