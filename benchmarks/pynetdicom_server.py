"""``python -m benchmarks.pynetdicom_server``: pynetdicom's server, in a process of its own.

It writes each instance with ``encoded_dataset()``, which pynetdicom documents as the way
that doesn't decode; its own ``storescp`` decodes and encodes, and is slower.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import pynetdicom as peer  # noqa: TID251  # as a peer
from pynetdicom.events import Event  # noqa: TID251  # as a peer

__all__: list[str] = []

_VERIFICATION = "1.2.840.10008.1.1"


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="where files are written")
    parser.add_argument("--verification-only", action="store_true", help="support one SOP class")
    parser.add_argument("--maximum-length", type=int, default=131_072, help="bytes; of P-DATA-TF")
    options = parser.parse_args()

    def on_store(event: Event) -> int:
        name = event.request.AffectedSOPInstanceUID  # type: ignore[union-attr]  # it is a C-STORE
        (options.folder / f"{name}.dcm").write_bytes(event.encoded_dataset())
        return 0

    entity = peer.AE("PYNETDICOM")
    entity.maximum_pdu_size = options.maximum_length
    entity.maximum_associations = 1000
    entity.add_supported_context(_VERIFICATION)
    if not options.verification_only:
        for context in peer.AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), peer.ALL_TRANSFER_SYNTAXES)
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # inherited by the server's threads
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(peer.evt.EVT_C_STORE, on_store)]
    )
    if server is None:
        raise RuntimeError("pynetdicom gave no server")
    print(f"READY dicom=127.0.0.1:{server.server_address[1]}", flush=True)
    signal.sigwait(stop)
    server.shutdown()


if __name__ == "__main__":
    _main()
