"""What the tests of C-FIND share: identifiers, what a server answers to them, a server to ask."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, decode_dataset, encode_dataset
from pacs_sdk.network import (
    DicomServer,
    Peer,
    ProposedContext,
    RequestorOptions,
    ServerConfig,
    connect,
)
from pacs_sdk.network.dimse import CFindRQ, Response
from pacs_sdk.services import FindNegotiation, InformationModel, QueryRules, QueryScp, QuerySource

__all__ = [
    "PATIENT_ROOT",
    "PATIENT_STUDY_ONLY",
    "STUDY_ROOT",
    "STUDY_UID",
    "asked",
    "encoded",
    "responses",
    "serving",
]

PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY = InformationModel
STUDY_UID = 0x0020000D


def responses(
    peer: Peer,
    identifier: DicomDataset | bytes,
    model: InformationModel = STUDY_ROOT,
    negotiation: FindNegotiation | None = None,
) -> list[tuple[Response, DicomDataset | None]]:
    """Send a C-FIND as it is, without what our client does for its user."""
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    extended = {} if negotiation is None else {model.find: negotiation.encode()}
    options = RequestorOptions(extended=extended)
    contexts = [ProposedContext(model.find, (syntax.uid,))]
    data = (
        identifier if isinstance(identifier, bytes) else encode_dataset(identifier, syntax).unwrap()
    )
    with connect(peer, "TEST", contexts, options=options).unwrap() as association:
        context = association.context_for(model.find).unwrap()
        return [
            (reply.response, None if reply.data is None else _read(reply.data))
            for reply in association.replies(context, CFindRQ(1, model.find), MemoryBytes(data))
        ]


def _read(data: ByteSource) -> DicomDataset:
    return decode_dataset(bytes(data.view()), EXPLICIT_VR_LITTLE_ENDIAN).unwrap()


def encoded(level: str, **texts: str | bytes) -> bytes:
    """Encode keys in Explicit VR Little Endian as they are, whatever they hold."""
    data = b""
    keys = {"QueryRetrieveLevel": level, **texts}
    for keyword, text in sorted(keys.items(), key=lambda one: int(DicomTag.of(one[0]))):
        tag = DicomTag.of(keyword)
        value = text.encode() if isinstance(text, str) else text
        value += (b"\0" if tag.dictionary_vr == "UI" else b" ") * (len(value) % 2)
        data += struct.pack("<HH", int(tag) >> 16, int(tag) & 0xFFFF)
        data += tag.dictionary_vr.encode() + struct.pack("<H", len(value)) + value
    return data


def asked(level: str, **keys: object) -> DicomDataset:
    """Make an identifier."""
    return DicomDataset(None, QueryRetrieveLevel=level, **keys)


@contextmanager
def serving(source: QuerySource, rules: QueryRules | None = None) -> Iterator[Peer]:
    """Run a server that answers C-FIND from something."""
    with DicomServer(ServerConfig(port=0), [QueryScp(source, "SOURCE", rules)]) as server:
        yield Peer("127.0.0.1", server.port, "SOURCE")
