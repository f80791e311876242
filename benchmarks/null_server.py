"""``python -m benchmarks.null_server``: takes images, answers, and keeps nothing, or the files alone.

What a client does with it is the most that it can do: whatever a server does with an image comes
on top. With ``--keep FOLDER`` it writes each data set to a file and gives that its name, which is
the least that a server in Python does. It believes all that it is told, and serves one association
after another.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
from pathlib import Path

from pacs_sdk.encoding import all_transfer_syntaxes
from pacs_sdk.network import AcceptorPolicy, SupportedContext
from pacs_sdk.network.dimse import CStoreRQ, Status, decode_command, encode_command, response_to
from pacs_sdk.network.negotiation import negotiate
from pacs_sdk.network.pdu import AAssociateRQ, AReleaseRP, PduType
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu, pdata_header
from pacs_sdk.services.sop_classes import storage_sop_classes

__all__: list[str] = []

_HEADER = struct.Struct(">BxI")
_ITEM = struct.Struct(">IBB")
_IS_COMMAND, _IS_LAST = 1, 2
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--maximum-length", type=int, default=131_072, help="bytes; of P-DATA-TF")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the files there")
    options = parser.parse_args()
    length = options.maximum_length
    files = None if options.keep is None else _Files(options.keep)
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


class _Files:
    """A file an image, written in a spool and linked to its name."""

    def __init__(self, folder: Path) -> None:
        self._spool, self._place = folder / "spool", folder / "place"
        self._spool.mkdir()
        self._place.mkdir()
        self._spooled = ""
        self._descriptor = -1

    def begin(self, uid: str) -> None:
        """Begin an image."""
        self._spooled = f"{self._spool}/{uid}"
        self._descriptor = os.open(self._spooled, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def write(self, data: memoryview) -> None:
        """Write a part."""
        os.write(self._descriptor, data)

    def end(self, uid: str) -> None:
        """Give the image its name."""
        os.close(self._descriptor)
        os.rename(self._spooled, f"{self._place}/{uid}")  # noqa: PTH104  # text, as a server does


def _serve(
    connected: socket.socket, policy: AcceptorPolicy, buffer: memoryview, files: _Files | None
) -> None:
    request: CStoreRQ | None = None
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
                    if request is not None and files is not None:
                        files.begin(request.affected_sop_instance_uid)
                    continue
                if files is not None:
                    files.write(buffer[start:offset])
                if flags & _IS_LAST and request is not None:
                    if files is not None:
                        files.end(request.affected_sop_instance_uid)
                    answer = response_to(request, Status.SUCCESS)
                    command = encode_command(answer, has_dataset=False)
                    connected.sendall(pdata_header(context_id, True, True, len(command)) + command)
        elif kind == PduType.A_RELEASE_RQ:
            connected.sendall(encode_pdu(AReleaseRP()))
        else:
            asked = decode_pdu(bytes(buffer[:end]))
            if not isinstance(asked, AAssociateRQ):
                return
            connected.sendall(encode_pdu(negotiate(asked, policy)))


if __name__ == "__main__":
    _main()
