"""``python -m benchmarks.null_server``: takes images, answers, and keeps nothing, or the files alone.

What a client does with it is the most that it can do: whatever a server does with an image comes
on top. With ``--keep FOLDER`` it writes each data set to a file and gives that its name, which is
the least that a server in Python does. With ``--index`` it reads the header as well, looks whether it
has the instance, and writes rows, 32 at a time after an answer: a plain archive, which is no limit, as
it waits to be woken for each PDU and writes each by itself. It believes all that it is told, and
serves one association after another.
"""

from __future__ import annotations

import argparse
import os
import socket
import sqlite3
import struct
from pathlib import Path

from returns.result import Success

from pacs_sdk.encoding import INDEX_TAGS, InstanceHeader, all_transfer_syntaxes
from pacs_sdk.encoding.datasets.scanner import scanned
from pacs_sdk.encoding.transfer_syntax import known_transfer_syntax
from pacs_sdk.network import AcceptorPolicy, SupportedContext
from pacs_sdk.network.dimse import CStoreRQ, Status, decode_command, encode_command, response_to
from pacs_sdk.network.negotiation import negotiate
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ, AReleaseRP, PduType
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu, pdata_header
from pacs_sdk.services.sop_classes import storage_sop_classes
from pacs_sdk.storage import IndexDatabase, IndexEntry, InstanceIdentity, index_url

__all__: list[str] = []

_HEADER = struct.Struct(">BxI")
_ITEM = struct.Struct(">IBB")
_IS_COMMAND, _IS_LAST = 1, 2
_HEAD_BYTES = 1 << 16
_ROWS_AT_ONCE = 32
_HAS_ROW = "SELECT 1 FROM instances WHERE sop_instance_uid = ?"
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--maximum-length", type=int, default=131_072, help="bytes; of P-DATA-TF")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the files there")
    parser.add_argument("--index", action="store_true", help="keep an index of them, too")
    options = parser.parse_args()
    length = options.maximum_length
    files = _Nothing()
    if options.keep is not None:
        files = (_IndexedFiles if options.index else _Files)(options.keep)
    syntaxes = [syntax.uid for syntax in all_transfer_syntaxes()]
    contexts = [SupportedContext(one.uid, syntaxes) for one in storage_sop_classes()]
    policy = AcceptorPolicy("NULL", contexts, maximum_length=length)
    buffer = memoryview(bytearray(max(length, 1 << 20) + _HEADER.size))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"READY dicom=127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connected, _ = listener.accept()
            with connected:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _serve(connected, policy, buffer, files)


class _Nothing:
    """Keeps nothing."""

    def begin(self, request: CStoreRQ, syntax: str) -> None:
        """Begin an image."""

    def write(self, data: memoryview) -> None:
        """Write a part."""

    def end(self, uid: str) -> None:
        """Give the image its name."""

    def answered(self) -> None:
        """Do what may be done after the answer."""


class _Files(_Nothing):
    """A file an image, written in a spool and linked to its name."""

    def __init__(self, folder: Path) -> None:
        self._spool, self._place = folder / "spool", folder / "place"
        self._spool.mkdir()
        self._place.mkdir()
        self._spooled = ""
        self._descriptor = -1

    def begin(self, request: CStoreRQ, syntax: str) -> None:
        """Begin an image."""
        self._spooled = f"{self._spool}/{request.affected_sop_instance_uid}"
        self._descriptor = os.open(self._spooled, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def write(self, data: memoryview) -> None:
        """Write a part."""
        os.write(self._descriptor, data)

    def end(self, uid: str) -> None:
        """Give the image its name."""
        os.close(self._descriptor)
        os.rename(self._spooled, f"{self._place}/{uid}")  # noqa: PTH104  # text, as a server does


class _IndexedFiles(_Files):
    """Files, and an index of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        url = index_url(folder / "index.sqlite")
        self._index = IndexDatabase(url)
        self._looking = sqlite3.connect(folder / "index.sqlite", isolation_level=None)
        self._entries: list[IndexEntry] = []
        self._header: InstanceHeader | None = None
        self._syntax = ""
        self._size = 0

    def begin(self, request: CStoreRQ, syntax: str) -> None:
        """Begin an image, and look whether it is there."""
        super().begin(request, syntax)
        uid = request.affected_sop_instance_uid
        if self._looking.execute(_HAS_ROW, (uid,)).fetchone() is not None:
            raise RuntimeError(f"{uid} is there already")
        self._header, self._syntax, self._size = None, syntax, 0

    def write(self, data: memoryview) -> None:
        """Write a part; the header is in the first."""
        super().write(data)
        self._size += data.nbytes
        if self._header is None:
            syntax = known_transfer_syntax(self._syntax)
            self._header = scanned(data[:_HEAD_BYTES], syntax, INDEX_TAGS)

    def end(self, uid: str) -> None:
        """Give the image its name."""
        super().end(uid)
        if self._header is None:
            raise RuntimeError(f"{uid} is empty")
        identity = InstanceIdentity.of_header(self._header)
        self._entries.append(
            IndexEntry(identity, self._header, self._syntax, identity.storage_key, self._size, 0)
        )

    def answered(self) -> None:
        """Write the rows, if there are enough."""
        if len(self._entries) == _ROWS_AT_ONCE:
            if not all(isinstance(one, Success) for one in self._index.add_many(self._entries)):
                raise RuntimeError("rows could not be written")
            self._entries.clear()


def _serve(
    connected: socket.socket, policy: AcceptorPolicy, buffer: memoryview, files: _Nothing
) -> None:
    request: CStoreRQ | None = None
    syntaxes: dict[int, str] = {}
    while connected.recv_into(buffer, _HEADER.size, socket.MSG_WAITALL) == _HEADER.size:
        kind, length = _HEADER.unpack_from(buffer)
        end = _HEADER.size + length
        connected.recv_into(buffer[_HEADER.size : end], length, socket.MSG_WAITALL)
        if _QUICK_ACK is not None:  # or a client with Nagle's algorithm waits for 40 ms
            connected.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        if kind == PduType.P_DATA_TF:
            offset = _HEADER.size
            while offset < end:
                size, context_id, flags = _ITEM.unpack_from(buffer, offset)
                start, offset = offset + _ITEM.size, offset + 4 + size
                if flags & _IS_COMMAND:
                    message = decode_command(bytes(buffer[start:offset])).message
                    request = message if isinstance(message, CStoreRQ) else None
                    if request is not None:
                        files.begin(request, syntaxes[context_id])
                    continue
                files.write(buffer[start:offset])
                if flags & _IS_LAST and request is not None:
                    files.end(request.affected_sop_instance_uid)
                    answer = response_to(request, Status.SUCCESS)
                    command = encode_command(answer, has_dataset=False)
                    connected.sendall(pdata_header(context_id, True, True, len(command)) + command)
                    files.answered()
        elif kind == PduType.A_RELEASE_RQ:
            connected.sendall(encode_pdu(AReleaseRP()))
        else:
            asked = decode_pdu(bytes(buffer[:end]))
            if not isinstance(asked, AAssociateRQ):
                return
            accepted = negotiate(asked, policy)
            connected.sendall(encode_pdu(accepted))
            if isinstance(accepted, AAssociateAC):
                agreed = accepted.presentation_contexts
                syntaxes = {one.context_id: one.transfer_syntax for one in agreed}


if __name__ == "__main__":
    _main()
