"""A receiver inside a product: its own handler, its own logger, no files, no globals.

``python vendor.py`` starts the receiver on a free port, sends it a CT series and one MR image
that ship inside pydicom, and stops it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import loguru
import pydicom.data

from pacs_sdk.core import ErrorCode, Failure, LoguruLogger, PacsError, PacsResult, Success
from pacs_sdk.encoding import Instance, read_file
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import StorageScp, StorageScu, VerificationScp

SAMPLES = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests"

received: dict[str, str] = {}


def keep(instance: Instance) -> PacsResult[str]:
    """Decide about one image; the sender is told Success only after this says so.

    The instance's bytes are valid during the call: take out what you need, or write them.
    """
    header = instance.header().unwrap()
    if header.text("Modality") != "CT":
        return Failure(PacsError(ErrorCode.NOT_AUTHORISED, "this device takes CT images only"))
    received[instance.sop_instance_uid] = header.text("SeriesDescription")
    return Success(instance.sop_instance_uid)


def log_to_stderr() -> LoguruLogger:
    """Make a logger as the product likes it: here loguru, warnings and worse."""
    loguru.logger.remove()
    loguru.logger.add(sys.stderr, level="WARNING", format="{level} {message} {extra}")
    return LoguruLogger(loguru.logger)


def send_samples(peer: Peer) -> None:
    """Send what a modality would send."""
    paths = [*sorted((SAMPLES / "98892001/CT5N").iterdir()), min(SAMPLES.glob("98892003/MR1/*"))]
    report = StorageScu(ae_title="MODALITY").store(
        peer, [read_file(path).unwrap() for path in paths]
    )
    for outcome in report.unwrap().outcomes:
        print(f"{outcome.sop_instance_uid[-12:]}  {outcome.status:04X}H  {outcome.comment}")


# The first lines: a server with your function behind it.
config = ServerConfig(ae_title="MY_DEVICE", port=0)
device = DicomServer(config, [VerificationScp(), StorageScp(keep)], logger=log_to_stderr())
with device.start().unwrap() as server:
    print(f"{server.ae_title} listens on port {server.port}")
    send_samples(Peer(server.host, server.port, server.ae_title))

# Leaving the block has stopped it: no thread and no socket is left.
print(f"received {len(received)} images: {', '.join(sorted(set(received.values())))}")
