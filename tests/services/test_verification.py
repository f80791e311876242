"""Verification (PS3.4 Annex A), both sides."""

from __future__ import annotations

import socket

from returns.result import Failure, Success

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import EchoReport, VerificationScu


def test_echo_is_confirmed(pacs: Pacs) -> None:
    """A C-ECHO to a running server succeeds and reports how long it took."""
    match VerificationScu().echo(pacs.peer):
        case Success(EchoReport(association_s, echo_s)):
            assert association_s > 0
            assert echo_s > 0
        case other:
            raise AssertionError(other)


def test_echo_to_a_closed_port_says_what_to_check() -> None:
    """Nobody listening is a CONNECTION_FAILED that names host and port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        result = VerificationScu().echo(Peer("127.0.0.1", port))
    match result:
        case Failure(error):
            assert error.code is ErrorCode.CONNECTION_FAILED
            assert f"127.0.0.1 port {port}" in error.message
        case other:
            raise AssertionError(other)


def test_echo_to_a_server_without_verification_says_so() -> None:
    """A peer that refuses the context gives PRESENTATION_CONTEXT_REFUSED with its reason."""
    with DicomServer(ServerConfig(port=0), []) as server:
        error = VerificationScu().echo(Peer("127.0.0.1", server.port)).failure()
    assert error.code is ErrorCode.PRESENTATION_CONTEXT_REFUSED
    assert "does not support the SOP class" in error.message
