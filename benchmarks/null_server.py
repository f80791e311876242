"""``python -m benchmarks.null_server``: takes images, answers, and keeps nothing.

What a client does with it is the most that it can do: whatever a server does with an image comes
on top. It believes all that it is told, and serves one association after another.
"""

from __future__ import annotations

import argparse
import socket
import struct

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
    length = parser.parse_args().maximum_length
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
                _serve(connected, policy, buffer)


def _serve(connected: socket.socket, policy: AcceptorPolicy, buffer: memoryview) -> None:
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
                elif flags & _IS_LAST and request is not None:
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
