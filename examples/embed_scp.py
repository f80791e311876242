"""An SCP with a handler of one's own inside a program: here a worklist beside an archive.

``python embed_scp.py`` starts an archive that also answers a modality worklist from a Python
list, asks it as a scanner would, stores an image, and stops.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from pacs_sdk import Pacs
from pacs_sdk.core import DicomDataset
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, decode_dataset, encode_dataset
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.network import FunctionService, Peer, ProposedContext, ServiceRequest, connect
from pacs_sdk.network.dimse import CFindRQ
from pacs_sdk.services import StorageScu

WORKLIST = "1.2.840.10008.5.1.4.31"  # Modality Worklist Information Model - FIND
PATIENTS = {"P1": "Phantom^Anna", "P2": "Phantom^Bert"}

# The first lines: a service is SOP classes and a function for each operation.
worklist = FunctionService([WORKLIST])


@worklist.handles(CFindRQ)
def scheduled(request: ServiceRequest[CFindRQ]) -> Iterator[DicomDataset]:
    """Yield one match after the other; a peer that cancels stops the loop."""
    wanted = str(request.dataset().unwrap().get("PatientID") or "")
    request.logger.info("worklist-asked", station=request.association.calling_ae_title)
    for patient_id, name in PATIENTS.items():
        if wanted in ("", patient_id):
            yield DicomDataset(PatientID=patient_id, PatientName=name)


def ask(peer: Peer, patient_id: str) -> list[str]:
    """Ask the worklist as a scanner does; list the names."""
    keys = DicomDataset(PatientID=patient_id, PatientName="")
    contexts = [ProposedContext(WORKLIST, (IMPLICIT_VR_LITTLE_ENDIAN.uid,))]
    with connect(peer, "CT_ROOM_1", contexts).unwrap() as association:
        context = association.context_for(WORKLIST).unwrap()
        identifier = encode_dataset(keys, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
        request = CFindRQ(association.next_message_id(), WORKLIST)
        return [
            name_in(bytes(reply.data.view()))
            for reply in association.replies(context, request, MemoryBytes(identifier))
            if reply.data is not None
        ]


def name_in(encoded: bytes) -> str:
    """Read the name in a match."""
    match = decode_dataset(encoded, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    return str(match.get("PatientName"))


with (
    tempfile.TemporaryDirectory() as folder,
    Pacs.embedded(folder, ae_title="WARD", services=[worklist]) as pacs,
):
    print(f"{pacs.server.ae_title} performs {len(pacs.server.services)} SOP classes")
    print("everybody:", ", ".join(ask(pacs.peer, "")))
    print("P2:", ", ".join(ask(pacs.peer, "P2")))
    images = make_phantom(PhantomSpec(slices=2, rows=16, columns=16)).unwrap().instances
    print("stored:", StorageScu().store(pacs.peer, images).unwrap().stored)
