"""The Storage SCP: hooks, rules, transfer syntaxes, and what senders are told (PS3.4 B.2.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, Success
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    read_file,
    transcode,
)
from pacs_sdk.network import (
    BackgroundServer,
    DicomServer,
    DicomService,
    Peer,
    ProposedContext,
    ServerConfig,
    connect,
)
from pacs_sdk.services import (
    AfterStore,
    BeforeStore,
    Coerce,
    IncomingInstance,
    ReceptionRule,
    ReceptionRules,
    Refuse,
    RetrieveScp,
    StorageScp,
    StorageScu,
    StoreOutcome,
    StoreVerdict,
    TransferSyntaxPolicy,
    Warn,
)
from pacs_sdk.storage import Archive, Durability, StoredInstance, open_archive
from pacs_sdk.testing import RecordingLogger
from tests.services.conftest import CT, MakeInstance

MR = "1.2.840.10008.5.1.4.1.1.4"


@attrs.define
class Served:
    """An archive behind a Storage SCP."""

    archive: Archive
    folder: Path
    peer: Peer
    logger: RecordingLogger

    def send(self, *instances: Instance, ae_title: str = "SENDER") -> list[StoreOutcome]:
        """Send over one association."""
        report = StorageScu(ae_title=ae_title).store(self.peer, list(instances)).unwrap()
        assert len(self.logger.named("association-accepted")) >= 1
        return list(report.outcomes)

    def stored(self, instance: Instance) -> DicomDataset:
        """Read what is stored under the UID of an instance."""
        return self.archive.open(instance.sop_instance_uid).unwrap().dataset().unwrap()

    def files(self) -> list[str]:
        """Name the objects, and unfinished files if there are any."""
        files = (self.folder / "objects").rglob("*")
        return sorted(
            path.name for path in files if path.suffix in (".dcm", ".part") and path.stat().st_size
        )


Serve = Callable[..., Any]


def _serving(
    driver: type[DicomServer | BackgroundServer], folder: Path
) -> Callable[..., AbstractContextManager[Served]]:
    @contextmanager
    def serving(
        before: Sequence[BeforeStore] | BeforeStore = (),
        after: Sequence[AfterStore] | AfterStore = (),
        **settings: Any,
    ) -> Iterator[Served]:
        logger = RecordingLogger()
        with open_archive(folder, durability=Durability.RELAXED).unwrap() as archive:
            scp = StorageScp(
                archive.store,
                receive=archive.receive,
                before_store=before,
                after_store=after,
                **settings,
            )
            services: list[DicomService] = [scp, RetrieveScp(archive)]
            with driver(ServerConfig(port=0), services, logger=logger) as server:
                peer = Peer(server.host, server.port, server.ae_title)
                yield Served(archive, folder, peer, logger)

    return serving


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Serve an archive with hooks."""
    return _serving(DicomServer, tmp_path / "archive")


@pytest.fixture(params=[DicomServer, BackgroundServer], ids=["threaded", "asyncio"])
def serve_by_each(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Serve an archive with hooks, with each driver."""
    return _serving(request.param, tmp_path / "archive")


def tag(keyword: str) -> int:
    """Give the number of a tag."""
    return int(DicomTag.of(keyword))


# -- hooks before storing --------------------------------------------------------------------


def test_a_hook_knows_what_came_and_from_whom(
    serve_by_each: Serve, make_instance: MakeInstance
) -> None:
    """It sees the instance, the association, the request and a bound logger."""
    seen: list[tuple[str, str, str, int]] = []

    def look(incoming: IncomingInstance) -> None:
        incoming.logger.info("looked-at")
        seen.append(
            (
                incoming.instance.header().unwrap().text("PatientName"),
                incoming.association.calling_ae_title,
                incoming.request.affected_sop_class_uid,
                incoming.request.message_id,
            )
        )

    with serve_by_each(look) as served:
        (outcome,) = served.send(make_instance(), ae_title="CT_ROOM_1")
        assert outcome.status == 0
    assert seen == [("Doe^John", "CT_ROOM_1", CT, 1)]
    (entry,) = served.logger.named("looked-at")
    assert entry.fields["calling_ae_title"] == "CT_ROOM_1"


REFUSALS = [
    Refuse(),
    Refuse(0xC123, "not ours"),
    Refuse(0xA700, "no room for research"),
    Refuse(0xA900, "a CT without rows", offending_elements=["Rows", "Columns"]),
    Refuse(0x0124, "ask the administrator"),
]


@pytest.mark.parametrize("verdict", REFUSALS, ids=lambda one: f"{one.status:04X}")
def test_a_hook_refuses(serve: Serve, make_instance: MakeInstance, verdict: Refuse) -> None:
    """The sender gets status, comment and elements; nothing is kept, and the others go on."""
    bad, good = make_instance(), make_instance()

    def refuse(incoming: IncomingInstance) -> StoreVerdict:
        return verdict if incoming.instance.sop_instance_uid == bad.sop_instance_uid else None

    with serve(refuse) as served:
        first, second = served.send(bad, good)
        assert (first.status, first.comment) == (verdict.status, verdict.comment)
        assert first.offending_elements == verdict.offending_elements
        assert second.status == 0
        assert served.files() == [f"{good.sop_instance_uid}.dcm"]
    (entry,) = served.logger.named("instance-refused")
    assert entry.fields["status"] == f"{verdict.status:04X}"
    assert len(served.logger.named("association-accepted")) == 1


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007], ids="{:04X}".format)
def test_a_hook_warns(serve: Serve, make_instance: MakeInstance, status: int) -> None:
    """The instance is stored as it came, and the sender is warned (PS3.4 Table B.2-1)."""
    instance = make_instance()
    verdict = Warn(status, "odd", offending_elements=["Modality"])
    with serve(lambda _: verdict) as served:
        (outcome,) = served.send(instance)
        assert served.stored(instance) == instance.dataset().unwrap()
    assert (outcome.status, outcome.comment) == (status, "odd")
    assert outcome.offending_elements == (tag("Modality"),)


def test_a_hook_has_values_changed(serve: Serve, make_instance: MakeInstance) -> None:
    """Values are set and removed; what was there is recorded, and the sender gets B000H."""
    instance = make_instance(PatientComments="secret")

    def change(_: IncomingInstance) -> StoreVerdict:
        return Coerce({"PatientID": "P2", "PatientComments": None}, comment="renamed")

    with serve(change) as served:
        (outcome,) = served.send(instance)
        dataset = served.stored(instance)
    assert (outcome.status, outcome.comment) == (0xB000, "renamed")
    assert outcome.offending_elements == (tag("PatientID"), tag("PatientComments"))
    assert dataset["PatientID"] == "P2"
    assert "PatientComments" not in dataset
    (original,) = dataset["OriginalAttributesSequence"]
    assert original["SourceOfPreviousValues"] == "SENDER"
    assert original["ModifiedAttributesSequence"][0]["PatientID"] == "P1"


def test_what_a_hook_changed_can_be_sent_again(serve: Serve, make_instance: MakeInstance) -> None:
    """A resend is the same instance, although the time of the change is another one."""
    instance = make_instance()
    with serve(lambda _: Coerce({"PatientID": "P2"})) as served:
        outcomes = served.send(instance, instance)
        assert len(served.files()) == 1
    assert [one.status for one in outcomes] == [0xB000, 0xB000]


def test_a_hook_has_pixels_changed(serve: Serve) -> None:
    """An instance in another transfer syntax is stored in place of the one that came."""
    image = read_file(_ct()).unwrap()

    def compress(incoming: IncomingInstance) -> StoreVerdict:
        return Coerce(transcode(incoming.instance, "RLELossless").unwrap())

    with serve(compress) as served:
        (outcome,) = served.send(image)
        kept = served.archive.open(image.sop_instance_uid).unwrap()
    assert outcome.status == 0xB000
    assert kept.transfer_syntax_uid == "1.2.840.10008.1.2.5"
    assert kept.frames().unwrap().tolist() == image.frames().unwrap().tolist()


def test_a_hook_gives_a_data_set(serve: Serve, make_instance: MakeInstance) -> None:
    """It is stored in the transfer syntax that the instance came in."""
    instance = make_instance(IMPLICIT_VR_LITTLE_ENDIAN)

    def drop(incoming: IncomingInstance) -> StoreVerdict:
        dataset = incoming.instance.dataset().unwrap()
        del dataset["InstanceNumber"]
        return Coerce(dataset, 0xB006, "no number", offending_elements=["InstanceNumber"])

    with serve(drop) as served:
        (outcome,) = served.send(instance)
        kept = served.archive.open(instance.sop_instance_uid).unwrap()
    assert (outcome.status, outcome.offending_elements) == (0xB006, (tag("InstanceNumber"),))
    assert kept.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN.uid
    assert "InstanceNumber" not in kept.dataset().unwrap()


def test_each_hook_sees_what_those_before_it_made(
    serve: Serve, make_instance: MakeInstance
) -> None:
    """Changes add up; the first warning is what the sender is told."""
    seen: list[str] = []

    def look(incoming: IncomingInstance) -> None:
        seen.append(incoming.instance.header().unwrap().text("PatientID"))

    hooks = [
        look,
        lambda _: Coerce({"PatientID": "P2"}),
        look,
        lambda _: Warn(0xB007, "second"),
        lambda _: Coerce({"PatientID": "P3"}),
        look,
    ]
    instance = make_instance()
    with serve(hooks) as served:
        (outcome,) = served.send(instance)
        assert served.stored(instance)["PatientID"] == "P3"
    assert seen == ["P1", "P2", "P3"]
    assert outcome.status == 0xB000


@pytest.mark.parametrize(
    "to",
    [{"SOPInstanceUID": "1.2.3.4"}, DicomDataset(SOPClassUID=CT, SOPInstanceUID="1.2.3.4")],
    ids=["values", "data set"],
)
def test_a_coercion_makes_no_other_instance(
    serve: Serve, make_instance: MakeInstance, to: Any
) -> None:
    """The sender would take its own instance for stored: nothing is."""
    with serve(lambda _: Coerce(to)) as served:
        (outcome,) = served.send(make_instance())
        assert served.files() == []
    assert outcome.status == 0xC000


def _crash(_: IncomingInstance) -> StoreVerdict:
    raise KeyError("a bug of the vendor's")


def _odd(_: IncomingInstance) -> Any:
    return True


@pytest.mark.parametrize("hook", [_crash, _odd])
def test_a_bug_in_a_hook_stores_nothing(
    serve_by_each: Serve, make_instance: MakeInstance, hook: BeforeStore
) -> None:
    """The sender is told 0110H, the log which hook it was; the association goes on."""
    with serve_by_each(hook) as served:
        outcomes = served.send(make_instance(), make_instance())
        assert [outcome.status for outcome in outcomes] == [0x0110, 0x0110]
        assert served.files() == []
    assert "bug of the vendor" not in outcomes[0].comment
    entries = served.logger.named("store-hook-failed")
    assert len(entries) == 2
    assert hook.__qualname__ in str(entries[0].fields["reason"])
    assert len(served.logger.named("association-accepted")) == 1


def test_a_hook_that_reports_an_error_gives_its_status(
    serve: Serve, make_instance: MakeInstance
) -> None:
    """A PacsException is no bug: its code has a status, its message is the comment."""

    def full(_: IncomingInstance) -> StoreVerdict:
        raise PacsException(ErrorCode.STORE_OUT_OF_RESOURCES, "the quota is used up")

    with serve(full) as served:
        (outcome,) = served.send(make_instance())
        assert served.files() == []
    assert (outcome.status, outcome.comment) == (0xA700, "the quota is used up")


def test_a_hook_may_be_an_object(serve: Serve, make_instance: MakeInstance) -> None:
    """Anything that can be called will do."""

    class Counting:
        def __init__(self) -> None:
            self.count = 0

        def __call__(self, incoming: IncomingInstance) -> StoreVerdict:
            self.count += 1
            return None

    hook = Counting()
    with serve(hook) as served:
        served.send(make_instance(), make_instance())
    assert hook.count == 2


# -- hooks after storing ---------------------------------------------------------------------


def test_what_is_safe_is_told_before_the_sender_is(
    serve: Serve, make_instance: MakeInstance
) -> None:
    """The hook gets what storing gave, and finds the instance in the archive."""
    told: list[tuple[str, bool]] = []
    instance = make_instance()

    def note(incoming: IncomingInstance, stored: StoredInstance) -> None:
        told.append((incoming.instance.sop_instance_uid, stored.created))

    with serve(after=note) as served:
        served.send(instance, instance)
    assert told == [(instance.sop_instance_uid, True), (instance.sop_instance_uid, False)]


def test_a_bug_after_storing_has_the_sender_send_again(
    serve_by_each: Serve, make_instance: MakeInstance
) -> None:
    """It is told 0110H; the instance is stored whole, and another attempt is a success."""
    failing = [True]

    def note(_: IncomingInstance, __: Any) -> None:
        if failing.pop() if failing else False:
            raise OSError("the queue is gone")

    instance = make_instance()
    with serve_by_each(after=note) as served:
        (first,) = served.send(instance)
        assert served.stored(instance) == instance.dataset().unwrap()
        (second,) = served.send(instance)
        assert served.files() == [f"{instance.sop_instance_uid}.dcm"]
    assert (first.status, second.status) == (0x0110, 0)


def test_what_is_refused_is_not_told(serve: Serve, make_instance: MakeInstance) -> None:
    """Hooks after storing hear of nothing that was not stored."""
    told: list[str] = []
    with serve(lambda _: Refuse(), lambda incoming, _: told.append(str(incoming))) as served:
        served.send(make_instance())
    assert told == []


# -- statuses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "status", "keyword"),
    [
        ({"StudyInstanceUID": ""}, 0xC000, "StudyInstanceUID"),
        ({"SeriesInstanceUID": ""}, 0xC000, "SeriesInstanceUID"),
    ],
)
def test_what_is_wrong_is_named_by_its_tag(
    serve: Serve, make_instance: MakeInstance, elements: dict[str, str], status: int, keyword: str
) -> None:
    """Beside the comment stands the Offending Element (PS3.7 C.4.2), hooks or not."""
    with serve() as served:
        (outcome,) = served.send(make_instance(**elements))
    assert (outcome.status, outcome.offending_elements) == (status, (tag(keyword),))


def test_a_data_set_of_another_instance_names_the_element(
    serve: Serve, make_instance: MakeInstance
) -> None:
    """A900H, and the tag of SOP Instance UID."""
    honest = make_instance()
    liar = Instance(CT, "1.2.3.4.5.6", honest.transfer_syntax_uid, honest.encoded)
    with serve() as served:
        (outcome,) = served.send(liar)
    assert (outcome.status, outcome.offending_elements) == (0xA900, (tag("SOPInstanceUID"),))


@pytest.mark.parametrize("status", [0, 0xB007, 0xFF00, 0xFE00, -1, 0x10000, 0x0001])
def test_a_refusal_needs_a_failure(status: int) -> None:
    """Success, warnings, Pending and what is no status are refused when it is made."""
    with pytest.raises(PacsException, match="is no failure") as caught:
        Refuse(status)
    assert caught.value.error.code is ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize("status", [0, 0xA700, 0xB001, 0xC000])
@pytest.mark.parametrize("make", [Warn, lambda status: Coerce({}, status)])
def test_a_warning_is_one_of_three(make: Callable[[int], object], status: int) -> None:
    """PS3.4 Table B.2-1 has B000H, B006H and B007H."""
    with pytest.raises(PacsException, match="is no warning of C-STORE"):
        make(status)


# -- rules -----------------------------------------------------------------------------------

RULES: list[tuple[dict[str, Any], bool]] = [
    # a rule that refuses, and whether it is about a CT of Doe^John (P1) from CT_ROOM_1
    ({}, True),
    ({"calling_ae_titles": ["CT_ROOM_1"]}, True),
    ({"calling_ae_titles": ["MR*", "CT_ROOM_?"]}, True),
    ({"calling_ae_titles": ["MR*"]}, False),
    ({"calling_ae_titles": ["ct_room_1"]}, False),
    ({"sop_classes": ["CT"]}, True),
    ({"sop_classes": ["MRImageStorage"]}, False),
    ({"sop_classes": [CT]}, True),
    ({"sop_classes": ["all images", "!CT"]}, False),
    ({"attributes": ["Modality=CT"]}, True),
    ({"attributes": ["Modality=ct"]}, True),
    ({"attributes": ["Modality=MR|C?"]}, True),
    ({"attributes": ["Modality!=CT"]}, False),
    ({"attributes": ["Modality!=MR|US"]}, True),
    ({"attributes": ["PatientName=doe*"]}, True),
    ({"attributes": ["PatientName=*[j]ohn"]}, False),
    ({"attributes": ["StationName="]}, True),
    ({"attributes": ["StationName=*"]}, True),
    ({"attributes": ["StationName!="]}, False),
    ({"attributes": ["StationName=?*"]}, False),
    ({"attributes": ["(0008,0060) = CT"]}, True),
    ({"attributes": ["ImageType=AXIAL"]}, True),
    ({"attributes": ["ImageType!=AXIAL"]}, False),
    ({"attributes": ["Modality=CT", "PatientID=P2"]}, False),
    ({"calling_ae_titles": ["CT*"], "sop_classes": ["CT"], "attributes": ["PatientID=P1"]}, True),
    ({"calling_ae_titles": ["CT*"], "sop_classes": ["MR"]}, False),
]


@pytest.fixture(scope="module")
def ruled() -> Iterator[tuple[list[BeforeStore], Peer]]:
    """Serve with a rule that the test puts in."""
    rules: list[BeforeStore] = []

    def keep(_: Instance) -> PacsResult[None]:
        return Success(None)

    def ask(incoming: IncomingInstance) -> StoreVerdict:
        return rules[0](incoming)

    scp = StorageScp(keep, before_store=ask)
    with DicomServer(ServerConfig(port=0), [scp]) as server:
        yield rules, Peer(server.host, server.port)


@pytest.mark.parametrize(("rule", "is_about"), RULES, ids=str)
def test_what_a_rule_is_about(
    ruled: tuple[list[BeforeStore], Peer],
    make_instance: MakeInstance,
    rule: dict[str, Any],
    is_about: bool,
) -> None:
    """Sender, SOP class and attributes have all to fit."""
    rules, peer = ruled
    rules[:] = [ReceptionRules.of(ReceptionRule(**rule))]
    instance = make_instance(ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    (outcome,) = StorageScu(ae_title="CT_ROOM_1").store(peer, instance).unwrap().outcomes
    assert outcome.status == (0x0124 if is_about else 0)


def test_the_first_rule_decides(serve: Serve, make_instance: MakeInstance) -> None:
    """What it accepts, no later one refuses; what none is about is accepted."""
    rules = ReceptionRules.of(
        ReceptionRule("accept", attributes=["PatientID=P7"]),
        ReceptionRule(calling_ae_titles=["CT*"], status=0xA700, comment="CT is full"),
        ReceptionRule(attributes=["Modality=CT"], status=0xC001, comment="no CT"),
    )
    with serve(rules) as served:
        seven = served.send(make_instance(PatientID="P7"), ae_title="CT_1")
        from_ct = served.send(make_instance(), ae_title="CT_1")
        other = served.send(make_instance(), make_instance(Modality="MR"), ae_title="WS")
    assert [one.status for one in (*seven, *from_ct, *other)] == [0, 0xA700, 0xC001, 0]
    assert from_ct[0].comment == "CT is full"
    assert other[0].offending_elements == (tag("Modality"),)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"calling_ae_titles": "CT"}, "list"),
        ({"calling_ae_titles": ["A" * 17]}, "17 characters"),
        ({"sop_classes": ["CTImageStorag"]}, "did you mean"),
        ({"sop_classes": "CT"}, "list"),
        ({"attributes": ["Modality"]}, "no condition"),
        ({"attributes": ["Modalitee=CT"]}, "Modalitee"),
        ({"attributes": "Modality=CT"}, "list"),
        ({"status": 0}, "no failure"),
    ],
)
def test_a_rule_that_is_none_says_why(rule: dict[str, Any], words: str) -> None:
    """It fails when it is made, in words."""
    with pytest.raises(PacsException, match=words):
        ReceptionRule(**rule)


# -- transfer syntaxes -----------------------------------------------------------------------

EXPLICIT, IMPLICIT, BIG = (
    EXPLICIT_VR_LITTLE_ENDIAN.uid,
    IMPLICIT_VR_LITTLE_ENDIAN.uid,
    EXPLICIT_VR_BIG_ENDIAN.uid,
)
JPEG = "1.2.840.10008.1.2.4.70"

POLICIES: list[tuple[dict[str, Any], tuple[str, ...], str | None]] = [
    # the policy, what a context proposes, what is accepted
    ({}, (BIG, IMPLICIT, EXPLICIT), BIG),
    ({"preferred": ["ExplicitVRLittleEndian"]}, (BIG, IMPLICIT, EXPLICIT), EXPLICIT),
    ({"preferred": [JPEG, EXPLICIT]}, (BIG, EXPLICIT), EXPLICIT),
    ({"preferred": [JPEG, EXPLICIT]}, (EXPLICIT, IMPLICIT, JPEG), JPEG),
    ({"preferred": [JPEG]}, (IMPLICIT, EXPLICIT), IMPLICIT),
    ({"only": [IMPLICIT]}, (EXPLICIT, IMPLICIT), IMPLICIT),
    ({"only": [IMPLICIT]}, (EXPLICIT,), None),
    ({"only": [IMPLICIT, JPEG], "preferred": [EXPLICIT, JPEG]}, (EXPLICIT, IMPLICIT, JPEG), JPEG),
    ({"refused": ["ExplicitVRBigEndian"]}, (BIG, IMPLICIT), IMPLICIT),
    ({"refused": [BIG]}, (BIG,), None),
    ({"refused": [BIG], "preferred": [BIG]}, (IMPLICIT, BIG), IMPLICIT),
]


@pytest.mark.parametrize(("policy", "proposed", "expected"), POLICIES)
def test_which_transfer_syntax_is_taken(
    serve: Serve, policy: dict[str, Any], proposed: tuple[str, ...], expected: str | None
) -> None:
    """As sent, the preferred one, only some, or all but some (PS3.8 9.3.3.2)."""
    with serve(transfer_syntaxes=TransferSyntaxPolicy(**policy)) as served:
        association = connect(served.peer, "SENDER", [ProposedContext(CT, proposed)]).unwrap()
        with association:
            accepted = [context.transfer_syntax for context in association.contexts]
    assert accepted == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"only": [BIG], "refused": [BIG]}, "no transfer syntax is left"),
        ({"only": ["ExplicitLittle"]}, "no keyword"),
        ({"preferred": EXPLICIT}, "as a list"),
    ],
)
def test_a_policy_that_is_none_says_why(policy: dict[str, Any], words: str) -> None:
    """It fails when it is made, as a configuration does."""
    with pytest.raises(PacsException, match=words) as caught:
        TransferSyntaxPolicy(**policy)
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION


# -- many at once ----------------------------------------------------------------------------


def test_many_senders_at_once_with_hooks(serve_by_each: Serve, make_instance: MakeInstance) -> None:
    """Hooks are called by several associations at the same time; nothing gets mixed up."""
    together = threading.Barrier(4, timeout=30)
    owners: dict[str, str] = {}

    def note(incoming: IncomingInstance, stored: StoredInstance) -> None:
        owners[stored.identity.sop_instance_uid] = incoming.association.calling_ae_title

    def meet(incoming: IncomingInstance) -> None:
        if incoming.request.message_id == 1:
            together.wait()

    lots = {f"AE_{number}": [make_instance() for _ in range(8)] for number in range(4)}
    with serve_by_each(meet, note) as served, ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(served.send, *lot, ae_title=ae_title) for ae_title, lot in lots.items()]
        assert all(outcome.status == 0 for one in sent for outcome in one.result())
        assert len(served.files()) == 32
    assert owners == {
        instance.sop_instance_uid: ae_title for ae_title, lot in lots.items() for instance in lot
    }


def _ct() -> str:
    import pydicom.data

    return str(pydicom.data.get_testdata_file("CT_small.dcm"))
