"""All C- services with DCMTK and pynetdicom at either end: both drivers, in clear and over TLS.

DCMTK's movescu, getscu and dcmqrscp speak no TLS; a relay speaks it for them.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pydicom
import pydicom.data
import pytest

from benchmarks.peers import dcmqrscp
from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance, read_file
from pacs_sdk.integration.config import PacsConfig, StorageConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    ClientTls,
    Driver,
    IncomingMessage,
    Peer,
    ProposedContext,
    Reply,
    ServerConfig,
    ServerTls,
    StoreHandler,
    connect,
    connect_async,
)
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    CStoreRQ,
    CStoreRSP,
    Request,
    Status,
)
from pacs_sdk.services import Destination, InMemory, StorageScp
from tests.interop.tls_relay import HOST, relayed
from tests.network.certificates import Identity
from tests.network.helpers import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    VERIFICATION,
)
from tests.network.servers import DRIVERS
from tests.network.tls_peers import Pki

pynetdicom = pytest.importorskip("pynetdicom")
evt, dsutils = pynetdicom.evt, importlib.import_module("pynetdicom.dsutils")

STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
SERIES = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests/98892001/CT5N"
PATHS = sorted(SERIES.iterdir())
UIDS = sorted(str(pydicom.dcmread(path).SOPInstanceUID) for path in PATHS)
STUDY_UID = str(pydicom.dcmread(PATHS[0]).StudyInstanceUID)
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
DEADLINE_S = 60


# -- how the line is secured -------------------------------------------------------------------


@attrs.frozen
class Security:
    """How both sides speak TLS; not at all where it is ``None``."""

    our_server: ServerTls | None = None
    our_client: ClientTls | None = None
    their_server: ssl.SSLContext | None = None
    their_client: ssl.SSLContext | None = None
    options: tuple[object, ...] = ()
    """The options of DCMTK's clients."""

    @property
    def tls_args(self) -> tuple[ssl.SSLContext, str] | None:
        """How pynetdicom's client is told."""
        return None if self.their_client is None else (self.their_client, HOST)


def _their_client(pki: Pki, own: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki.ca.certificate)
    if own is not None:
        context.load_cert_chain(own.certificate, own.private_key)
    return context


def _their_server(pki: Pki, *, mutual: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.server.certificate, pki.server.private_key)
    if mutual:
        context.load_verify_locations(pki.ca.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture(scope="module", name="pki")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=["plain", "TLS", "mutual TLS"], name="security")
def _security(request: pytest.FixtureRequest, pki: Pki) -> Security:
    trusted: tuple[object, ...] = ("+cf", pki.ca.certificate)
    if request.param == "plain":
        return Security()
    if request.param == "TLS":
        return Security(
            pki.server_tls,
            pki.client_tls,
            _their_server(pki, mutual=False),
            _their_client(pki, None),
            ("+tla", *trusted),
        )
    return Security(
        pki.mutual_tls,
        pki.as_client(pki.client),
        _their_server(pki, mutual=True),
        _their_client(pki, pki.client),
        ("+tls", pki.client.private_key, pki.client.certificate, *trusted),
    )


@contextmanager
def in_clear(security: Security, port: int) -> Iterator[int]:
    """Give the port at which a program without TLS reaches a server of ours."""
    if security.their_client is None:
        yield port
        return
    with relayed(port, to_tls=security.their_client) as clear:
        yield clear


@contextmanager
def secured(security: Security, port: int, *, at: int = 0) -> Iterator[int]:
    """Give the port at which we reach a server without TLS; ``at`` is a wish."""
    if security.their_server is None:
        yield port
        return
    with relayed(port, port=at, from_tls=security.their_server) as secure:
        yield secure


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def run(*command: object) -> None:
    """Run a program, which must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout


def uids_in(folder: Path) -> list[str]:
    """List the instances of which a program wrote files."""
    return sorted(str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.iterdir())


# -- they call us ------------------------------------------------------------------------------


@attrs.frozen
class Ours:
    """Our archive, and where it sends what is moved to DEST."""

    pacs: Pacs
    destination_port: int


@pytest.fixture(params=Driver, ids=lambda driver: driver.value, name="ours")
def _ours(request: pytest.FixtureRequest, tmp_path: Path, security: Security) -> Iterator[Ours]:
    port = free_port()
    config = PacsConfig(
        server=ServerConfig(
            port=0, ae_title="ARCHIVE", driver=request.param, tls=security.our_server
        ),
        storage=StorageConfig(data_dir=tmp_path / "archive"),
        destinations=(Destination("DEST", HOST, port, security.our_client),),
    )
    with Pacs.configured(config) as pacs:
        assert type(pacs.server) is DRIVERS[request.param.value]
        yield Ours(pacs, port)


@pytest.mark.interop("echoscu", "storescu", "findscu", "getscu", "movescu")
def test_dcmtk_calls_us(
    ours: Ours, security: Security, dcmtk: dict[str, Path], tmp_path: Path
) -> None:
    """`echoscu`, `storescu`, `findscu`, `getscu` and `movescu`, one after the other."""
    found, got, moved = (tmp_path / name for name in ("found", "got", "moved"))
    for folder in (found, got, moved):
        folder.mkdir()
    study = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY_UID}")
    where = ("-aec", "ARCHIVE", HOST, ours.pacs.port)

    run(dcmtk["echoscu"], *security.options, *where)
    run(dcmtk["storescu"], *security.options, "+sd", *where, SERIES)
    run(dcmtk["findscu"], *security.options, "-S", "-X", "-od", found, *study, *where)
    assert [
        str(pydicom.dcmread(path, force=True).StudyInstanceUID) for path in found.iterdir()
    ] == [STUDY_UID]
    moved_port = ours.destination_port if security.our_client is None else free_port()
    with (
        in_clear(security, ours.pacs.port) as clear,
        secured(security, moved_port, at=ours.destination_port),
    ):
        where = ("-aec", "ARCHIVE", HOST, clear)
        run(dcmtk["getscu"], "-S", "-od", got, *study, *where)
        run(
            dcmtk["movescu"], "-S", "-aem", "DEST", "+P", moved_port, "-od", moved, *study, *where
        )  # fmt: skip
    assert uids_in(got) == uids_in(moved) == UIDS


@pytest.mark.interop
def test_pynetdicom_calls_us(ours: Ours, security: Security) -> None:
    """Its five C- services on one association."""
    got: list[str] = []
    moved: list[str] = []

    def into(taken: list[str]) -> tuple[Any, Callable[[Any], int]]:
        def on_store(event: Any) -> int:
            taken.append(str(event.request.AffectedSOPInstanceUID))
            return 0x0000

        return evt.EVT_C_STORE, on_store

    destination = pynetdicom.AE("DEST")
    destination.add_supported_context(CT_IMAGE, EXPLICIT)
    entity = pynetdicom.AE("PYNETDICOM")
    for uid in (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE):
        entity.add_requested_context(uid, IMPLICIT)
    entity.add_requested_context(CT_IMAGE, EXPLICIT)
    listening = destination.start_server(
        (HOST, ours.destination_port),
        block=False,
        evt_handlers=[into(moved)],
        ssl_context=security.their_server,
    )
    try:
        association = entity.associate(
            HOST,
            ours.pacs.port,
            ext_neg=[pynetdicom.build_role(CT_IMAGE, scu_role=True, scp_role=True)],
            evt_handlers=[into(got)],
            tls_args=security.tls_args,
        )
        assert association.is_established
        wanted = pydicom.Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", STUDY_UID
        assert association.send_c_echo().Status == 0x0000
        for path in PATHS:
            assert association.send_c_store(pydicom.dcmread(path)).Status == 0x0000
        (pending, match), (final, _) = association.send_c_find(wanted, STUDY_ROOT_FIND)
        assert (pending.Status, match.StudyInstanceUID) == (0xFF00, STUDY_UID)
        assert final.Status == 0x0000
        *_, (final, _) = association.send_c_get(wanted, STUDY_ROOT_GET)
        assert final.Status == 0x0000
        *_, (final, _) = association.send_c_move(wanted, "DEST", STUDY_ROOT_MOVE)
        assert final.Status == 0x0000
        association.release()
        assert association.is_released
    finally:
        listening.shutdown()
    assert sorted(got) == sorted(moved) == UIDS


# -- we call them ------------------------------------------------------------------------------

CONTEXTS = [
    ProposedContext(VERIFICATION, (IMPLICIT,)),
    ProposedContext(CT_IMAGE, (EXPLICIT,), as_scp=True),
    *(ProposedContext(uid, (IMPLICIT,)) for uid in (STUDY_ROOT_FIND, STUDY_ROOT_GET)),
    ProposedContext(STUDY_ROOT_MOVE, (IMPLICIT,)),
]

Ask: TypeAlias = "Callable[..., list[tuple[int, bytes | None]]]"
"""Takes a SOP class, a request, its data set, and what performs C-STORE sub-operations; gives
each response's status and data set."""


def _read(reply: Reply) -> tuple[int, bytes | None]:
    return reply.response.status, None if reply.data is None else bytes(reply.data.view())


@contextmanager
def associated(driver: Driver, peer: Peer) -> Iterator[Ask]:
    """Open an association with the client of a driver."""
    if driver is Driver.THREADED:
        with raised(connect(peer, "ME", CONTEXTS)) as association:

            def ask(
                uid: str,
                request: Request,
                data: ByteSource | None = None,
                on_store: StoreHandler | None = None,
            ) -> list[tuple[int, bytes | None]]:
                context = raised(association.context_for(uid))
                return [_read(one) for one in association.replies(context, request, data, on_store)]

            yield ask
        return
    with asyncio.Runner() as runner:
        awaited = raised(runner.run(connect_async(peer, "ME", CONTEXTS)))

        async def all_replies(
            uid: str,
            request: Request,
            data: ByteSource | None = None,
            on_store: StoreHandler | None = None,
        ) -> list[tuple[int, bytes | None]]:
            context = raised(awaited.context_for(uid))
            return [_read(one) async for one in awaited.replies(context, request, data, on_store)]

        try:
            yield lambda *asked: runner.run(all_replies(*asked))
        finally:
            runner.run(awaited.release())


def _images() -> list[Instance]:
    return [raised(read_file(path)) for path in PATHS]


def use_all(driver: Driver, peer: Peer, box: InMemory) -> None:
    """Store the series, find it, get it back, and have it moved to ME, who keeps it in a box."""
    got: dict[str, bytes] = {}

    def keep(incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
        assert incoming.data is not None
        got[request.affected_sop_instance_uid] = bytes(incoming.data.view())
        return CStoreRSP(request.message_id, Status.SUCCESS)

    wanted = pydicom.Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", STUDY_UID
    key = MemoryBytes(dsutils.encode(wanted, is_implicit_vr=True, is_little_endian=True))
    with associated(driver, peer) as ask:
        assert ask(VERIFICATION, CEchoRQ(1)) == [(0x0000, None)]
        for number, image in enumerate(_images(), 2):
            request = CStoreRQ(number, CT_IMAGE, image.sop_instance_uid)
            assert ask(CT_IMAGE, request, image.encoded) == [(0x0000, None)]
        (pending, match), final = ask(STUDY_ROOT_FIND, CFindRQ(20, STUDY_ROOT_FIND), key)
        assert pending == 0xFF00
        assert match is not None
        assert STUDY_UID.encode() in match
        assert final == (0x0000, None)
        *_, final = ask(STUDY_ROOT_GET, CGetRQ(21, STUDY_ROOT_GET), key, keep)
        assert final[0] == 0x0000
        *_, final = ask(STUDY_ROOT_MOVE, CMoveRQ(22, STUDY_ROOT_MOVE, "ME"), key)
        assert final[0] == 0x0000
    assert sorted(got) == UIDS
    assert sorted(one.sop_instance_uid for one in box.instances) == UIDS


@contextmanager
def receiving(driver: Driver, security: Security, box: InMemory) -> Iterator[int]:
    """Run the Storage SCP of ME; give its port."""
    config = ServerConfig(port=0, ae_title="ME", tls=security.our_server)
    with DRIVERS[driver.value](config, [StorageScp(box.keep)]) as server:
        yield server.port


@pytest.mark.parametrize("driver", Driver, ids=lambda driver: driver.value)
@pytest.mark.interop("dcmqrscp")
def test_we_call_dcmtk(driver: Driver, security: Security) -> None:
    """`dcmqrscp` has all five services."""
    box = InMemory()
    with ExitStack() as stack:
        port = stack.enter_context(receiving(driver, security, box))
        port = stack.enter_context(in_clear(security, port))
        launch = dcmqrscp(destinations=[Peer(HOST, port, "ME")])
        assert launch is not None
        running = stack.enter_context(launch.running())
        port = stack.enter_context(secured(security, running.port))
        use_all(driver, Peer(HOST, port, "DCMQRSCP", security.our_client), box)


@pytest.mark.parametrize("driver", Driver, ids=lambda driver: driver.value)
@pytest.mark.interop
def test_we_call_pynetdicom(driver: Driver, security: Security) -> None:
    """A server of its kind that keeps what it gets in memory."""
    box = InMemory()
    kept: dict[str, pydicom.Dataset] = {}

    def on_store(event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        kept[dataset.SOPInstanceUID] = dataset
        return 0x0000

    def on_find(event: Any) -> Iterator[tuple[int, pydicom.Dataset | None]]:
        match = pydicom.Dataset()
        match.QueryRetrieveLevel = "STUDY"
        match.StudyInstanceUID = event.identifier.StudyInstanceUID
        yield 0xFF00, match

    def on_get(_: Any) -> Iterator[Any]:
        yield len(kept)
        yield from ((0xFF00, dataset) for dataset in kept.values())

    def on_move(_: Any) -> Iterator[Any]:
        yield HOST, port, {"tls_args": security.tls_args, "contexts": contexts}
        yield from on_get(_)

    handlers = [
        (evt.EVT_C_STORE, on_store),
        (evt.EVT_C_FIND, on_find),
        (evt.EVT_C_GET, on_get),
        (evt.EVT_C_MOVE, on_move),
    ]
    entity = pynetdicom.AE("PYNETDICOM")
    for uid in (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE):
        entity.add_supported_context(uid, IMPLICIT)
    entity.add_supported_context(CT_IMAGE, EXPLICIT, scu_role=True, scp_role=True)
    contexts = [pynetdicom.build_context(CT_IMAGE, EXPLICIT)]
    with receiving(driver, security, box) as port:
        server = entity.start_server(
            (HOST, 0), block=False, evt_handlers=handlers, ssl_context=security.their_server
        )
        try:
            where = server.server_address[1]
            use_all(driver, Peer(HOST, where, "PYNETDICOM", security.our_client), box)
        finally:
            server.shutdown()
    assert sorted(kept) == UIDS
