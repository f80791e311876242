"""What the Storage SCU does for a peer that refuses the stored transfer syntax."""

from __future__ import annotations

import pydicom
import pydicom.data
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EncodeOptions,
    Instance,
    TransferSyntax,
    decode_frames,
    read_file,
    transcode,
    transfer_syntax,
)
from pacs_sdk.services import StorageScu, StoreOutcome, TranscodePolicy
from tests.services.conftest import CT, MakeInstance
from tests.services.receivers import Received, Receiver, receiving

SMALL = pydicom.data.get_testdata_file("CT_small.dcm")
COLOUR = pydicom.data.get_testdata_file("SC_rgb_small_odd.dcm")


def syntax(keyword: str) -> TransferSyntax:
    """Look a transfer syntax up by its keyword."""
    return transfer_syntax(keyword).unwrap()


def ct(keyword: str = "ExplicitVRLittleEndian") -> Instance:
    """Give a CT image, encoded this way."""
    return transcode(read_file(str(SMALL)).unwrap(), keyword).unwrap()


def sent(
    instance: Instance, *accepted: str, policy: TranscodePolicy = TranscodePolicy.AUTO
) -> tuple[StoreOutcome, Received | None]:
    """Send an instance to a peer that accepts these transfer syntaxes only."""
    service = Receiver(
        syntaxes=[syntax(keyword) for keyword in accepted], sop_classes=[instance.sop_class_uid]
    )
    with receiving(service) as peer:
        (outcome,) = StorageScu(transcode=policy).store(peer, instance).unwrap().outcomes
    return outcome, service.received[0] if service.received else None


LOSSLESS = [
    # stored as, accepted, sent as
    ("ExplicitVRLittleEndian", ("ImplicitVRLittleEndian",), "ImplicitVRLittleEndian"),
    ("ImplicitVRLittleEndian", ("ExplicitVRLittleEndian",), "ExplicitVRLittleEndian"),
    ("ExplicitVRBigEndian", ("ImplicitVRLittleEndian",), "ImplicitVRLittleEndian"),
    ("DeflatedExplicitVRLittleEndian", ("ImplicitVRLittleEndian",), "ImplicitVRLittleEndian"),
    ("JPEGLosslessSV1", ("ImplicitVRLittleEndian",), "ImplicitVRLittleEndian"),
    (
        "JPEG2000Lossless",
        ("ImplicitVRLittleEndian", "ExplicitVRLittleEndian"),
        "ExplicitVRLittleEndian",
    ),
    ("RLELossless", ("JPEGLSLossless",), "JPEGLSLossless"),
    ("ExplicitVRLittleEndian", ("JPEGLosslessSV1",), "JPEGLosslessSV1"),
    ("JPEGLSLossless", ("JPEGLSLossless", "ExplicitVRLittleEndian"), "JPEGLSLossless"),
]


@pytest.mark.parametrize(("stored", "accepted", "expected"), LOSSLESS)
def test_pixels_stay_what_they_are(stored: str, accepted: tuple[str, ...], expected: str) -> None:
    """The stored syntax if the peer takes it, else uncompressed, else compressed without loss."""
    instance = ct(stored)
    outcome, received = sent(instance, *accepted)
    assert (outcome.status, outcome.was_reencoded) == (0, stored != expected)
    assert received is not None
    assert received.transfer_syntax_uid == syntax(expected).uid == outcome.transfer_syntax_uid
    assert received.sop_instance_uid == instance.sop_instance_uid
    before, after = decode_frames(instance).unwrap(), decode_frames(received.instance).unwrap()
    assert before.tolist() == after.tolist()
    assert received.instance.dataset().unwrap()["PatientName"] == "CompressedSamples^CT1"


@pytest.mark.parametrize(
    ("stored", "accepted", "policy"),
    [
        ("ExplicitVRLittleEndian", "ImplicitVRLittleEndian", TranscodePolicy.NEVER),
        ("JPEG2000Lossless", "ExplicitVRLittleEndian", TranscodePolicy.NEVER),
        ("ExplicitVRLittleEndian", "JPEG2000", TranscodePolicy.AUTO),
        ("ExplicitVRLittleEndian", "JPEGBaseline8Bit", TranscodePolicy.AUTO),
    ],
)
def test_what_may_not_be_done_is_not_done(
    stored: str, accepted: str, policy: TranscodePolicy
) -> None:
    """Nothing is re-encoded under NEVER, nothing with loss but under LOSSY; words say it."""
    outcome, received = sent(ct(stored), accepted, policy=policy)
    assert received is None
    assert outcome.error is ErrorCode.PRESENTATION_CONTEXT_REFUSED
    assert syntax(stored).name in outcome.comment
    assert outcome.attempts == 0


def test_with_loss_where_that_is_allowed_and_nothing_else_left() -> None:
    """The result is another instance, derived from the first, and is the same each time."""
    instance = ct()
    outcome, received = sent(instance, "JPEG2000", policy=TranscodePolicy.LOSSY)
    again, _ = sent(instance, "JPEG2000", policy=TranscodePolicy.LOSSY)
    assert outcome.status == 0
    assert outcome.sop_instance_uid == instance.sop_instance_uid
    assert outcome.sent_sop_instance_uid == again.sent_sop_instance_uid
    assert received is not None
    assert received.sop_instance_uid == outcome.sent_sop_instance_uid != instance.sop_instance_uid
    dataset = received.instance.dataset().unwrap()
    assert dataset["SOPInstanceUID"] == received.sop_instance_uid
    assert dataset["LossyImageCompression"] == "01"
    (source,) = dataset["SourceImageSequence"]
    assert source["ReferencedSOPInstanceUID"] == instance.sop_instance_uid


def test_lossless_comes_before_lossy() -> None:
    """A peer that takes something lossless gets that, whatever the policy allows."""
    outcome, received = sent(
        ct(), "JPEG2000", "JPEGBaseline8Bit", "RLELossless", policy=TranscodePolicy.LOSSY
    )
    assert received is not None
    assert received.transfer_syntax_uid == syntax("RLELossless").uid
    assert outcome.sent_sop_instance_uid == outcome.sop_instance_uid


def test_the_first_lossy_syntax_that_can_hold_the_image() -> None:
    """16 bits don't go into JPEG Baseline, 8 bits in colour do."""
    both = ("JPEGBaseline8Bit", "JPEG2000")
    colour = read_file(str(COLOUR)).unwrap()
    _, grey = sent(ct(), *both, policy=TranscodePolicy.LOSSY)
    _, small = sent(colour, *both, policy=TranscodePolicy.LOSSY)
    assert grey is not None
    assert small is not None
    assert grey.transfer_syntax_uid == syntax("JPEG2000").uid
    assert small.transfer_syntax_uid == syntax("JPEGBaseline8Bit").uid


def test_how_much_may_be_lost_is_an_option() -> None:
    """``encode_options`` are those of ``transcode``."""
    sizes = []
    for ratio in (4.0, 20.0):
        service = Receiver(syntaxes=[syntax("JPEG2000")])
        scu = StorageScu(
            transcode=TranscodePolicy.LOSSY,
            encode_options=EncodeOptions(compression_ratio=ratio),
        )
        with receiving(service) as peer:
            assert scu.store(peer, ct()).unwrap().stored == 1
        sizes.append(len(service.received[0].data))
    assert sizes[1] < sizes[0] * 0.7


def test_what_has_no_pixels_cannot_be_compressed(make_instance: MakeInstance) -> None:
    """The reason names the refused syntax and what hindered the other one."""
    outcome, received = sent(make_instance(), "RLELossless")
    assert received is None
    assert EXPLICIT_VR_LITTLE_ENDIAN.name in outcome.comment
    assert "cannot be re-encoded" in outcome.comment


def test_each_of_a_mixed_lot_goes_as_it_is(make_instance: MakeInstance) -> None:
    """Instances of one SOP class in several transfer syntaxes share an association."""
    syntaxes = [
        EXPLICIT_VR_LITTLE_ENDIAN,
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ]
    service = Receiver(syntaxes=syntaxes, sop_classes=[CT])
    with receiving(service) as peer:
        report = StorageScu().store(peer, [make_instance(one) for one in syntaxes]).unwrap()
    assert report.stored == 4
    assert not any(one.was_reencoded for one in report.outcomes)
    assert [one.transfer_syntax_uid for one in service.received] == [one.uid for one in syntaxes]
    assert service.associations == 1


@pytest.mark.parametrize(
    ("wanted", "accepted", "expected"),
    [
        (["JPEGLSLossless"], ["ExplicitVRLittleEndian", "JPEGLSLossless"], "JPEGLSLossless"),
        (["JPEGLSLossless", "RLELossless"], ["RLELossless", "JPEGLSLossless"], "JPEGLSLossless"),
        (["JPEGLSLossless", "RLELossless"], ["RLELossless"], "RLELossless"),
        (["JPEGLSLossless"], ["ExplicitVRLittleEndian"], "ExplicitVRLittleEndian"),
        ("1.2.840.10008.1.2", ["ExplicitVRLittleEndian", "ImplicitVRLittleEndian"],
         "ImplicitVRLittleEndian"),
    ],
)  # fmt: skip
def test_sent_as_wanted_where_the_peer_takes_it(
    wanted: list[str] | str, accepted: list[str], expected: str
) -> None:
    """The first wanted transfer syntax that the peer takes; else as it is stored."""
    service = Receiver(syntaxes=[syntax(keyword) for keyword in accepted])
    with receiving(service) as peer:
        scu = StorageScu(transfer_syntaxes=wanted)
        (outcome,) = scu.store(peer, ct()).unwrap().outcomes
    assert outcome.status == 0
    assert service.received[0].transfer_syntax_uid == syntax(expected).uid
    kept = decode_frames(service.received[0].instance).unwrap()
    assert kept.tolist() == decode_frames(ct()).unwrap().tolist()


def test_what_cannot_be_sent_as_wanted_goes_as_it_is(make_instance: MakeInstance) -> None:
    """An object without pixels is not compressed, and is sent all the same."""
    service = Receiver(syntaxes=[syntax("RLELossless"), EXPLICIT_VR_LITTLE_ENDIAN])
    with receiving(service) as peer:
        scu = StorageScu(transfer_syntaxes=["RLELossless"])
        report = scu.store(peer, [make_instance(), ct()]).unwrap()
    assert [one.was_reencoded for one in report.outcomes] == [False, True]
    assert report.stored == 2


@pytest.mark.parametrize(
    ("wanted", "policy", "code"),
    [
        ("RLELossless", TranscodePolicy.NEVER, ErrorCode.INVALID_ARGUMENT),
        ("JPEGBaseline8Bit", TranscodePolicy.AUTO, ErrorCode.INVALID_ARGUMENT),
        ("JPEG", TranscodePolicy.AUTO, ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX),
    ],
)
def test_what_may_not_be_wanted(wanted: str, policy: TranscodePolicy, code: ErrorCode) -> None:
    """It is told when the SCU is made."""
    with pytest.raises(PacsException) as caught:
        StorageScu(transfer_syntaxes=[wanted], transcode=policy)
    assert caught.value.error.code is code
