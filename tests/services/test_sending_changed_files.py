"""Files that others write to while they are sent."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pacs_sdk.core.results import PacsResult
from pacs_sdk.encoding import Instance, write_file
from pacs_sdk.network import DicomServer, Exchange, Peer, ServerConfig
from pacs_sdk.services import StorageScu
from pacs_sdk.services.sending.preparation import Preparation, Ready
from tests.network.tls_peers import Pki
from tests.services.conftest import MakeInstance
from tests.services.receivers import Receiver, take

LONG = bytes(3 << 20)


@pytest.mark.parametrize("tls", [False, True])
def test_a_long_file_that_is_emptied_when_it_was_read_ends_nothing_else(
    make_instance: MakeInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, tls: bool
) -> None:
    """In clear it fails in words; TLS, which reads it itself, has it whole. The next one follows."""
    files = []
    for name in "abc":
        files.append(tmp_path / name)
        instance = make_instance(**({"EncapsulatedDocument": LONG} if name == "b" else {}))
        write_file(instance, files[-1]).unwrap()
    of, count, second_is_ready = Preparation.of, iter(range(9)), threading.Event()

    def noted(self: Preparation, instance: Instance) -> PacsResult[Ready]:
        ready = of(self, instance)
        if next(count) == 1:
            second_is_ready.set()
        return ready

    def empty_the_second(exchange: Exchange) -> None:
        assert second_is_ready.wait(10)
        os.truncate(files[1], 0)
        take(exchange)

    monkeypatch.setattr(Preparation, "of", noted)
    pki = Pki.make(tmp_path)
    config = ServerConfig(port=0, tls=pki.server_tls if tls else None)
    with DicomServer(config, [Receiver(empty_the_second)]) as server:
        peer = Peer("127.0.0.1", server.port, tls=pki.client_tls if tls else None)
        report = StorageScu().store(peer, files).unwrap()
    first, second, third = report.outcomes
    assert (first.status, third.status) == (0, 0)
    if tls:
        assert second.status == 0
    else:
        assert "has become shorter while it was sent" in second.comment
