"""What the tests of TLS share: identities, and two ends of a connection with a thread each."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import attrs

from pacs_sdk.network.connection.tls_connect import connect_tls
from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.tls import ClientTls, ServerTls
from pacs_sdk.network.tls.settings import server_context
from tests.network.certificates import CertificateAuthority, Identity

__all__ = ["HOST", "TIMEOUT_S", "Line", "Pki", "open_line", "wrapped_client"]

HOST = "127.0.0.1"

TIMEOUT_S = 10.0
"""Longer than a loaded machine takes; only a hang meets it."""


@attrs.frozen
class Pki:
    """Two CAs and who they vouch for."""

    ca: CertificateAuthority
    other_ca: CertificateAuthority
    server: Identity
    client: Identity
    stranger: Identity
    """A client whose CA is the other one."""

    @classmethod
    def make(cls, folder: Path) -> Pki:
        """Issue all of them into a folder."""
        ca, other = CertificateAuthority(folder, "ca"), CertificateAuthority(folder, "other-ca")
        return cls(ca, other, ca.issue("server"), ca.issue("client"), other.issue("stranger"))

    @property
    def server_tls(self) -> ServerTls:
        """A server that anybody may call."""
        return ServerTls(self.server.certificate, self.server.private_key)

    @property
    def mutual_tls(self) -> ServerTls:
        """A server that demands a certificate of the first CA."""
        return attrs.evolve(self.server_tls, client_ca=self.ca.certificate)

    @property
    def client_tls(self) -> ClientTls:
        """A client without a certificate, that trusts the first CA."""
        return ClientTls(self.ca.certificate)

    def as_client(self, identity: Identity) -> ClientTls:
        """A client with a certificate."""
        return attrs.evolve(
            self.client_tls, certificate=identity.certificate, private_key=identity.private_key
        )


@attrs.define
class Line:
    """Two ends of a TCP connection: the server's, the client's, and a thread for one."""

    near: socket.socket
    far: socket.socket
    wake_read: int
    wake_write: int
    pool: ThreadPoolExecutor
    opened: list[TlsTransport] = attrs.field(factory=list)

    def wake(self) -> None:
        """End the waits of the server's end."""
        os.write(self.wake_write, b"\0")

    def serve(
        self, tls: ServerTls | ssl.SSLContext, timeout_s: float = TIMEOUT_S
    ) -> Future[TlsTransport]:
        """Make the handshake of the server's end in the other thread."""
        return self.pool.submit(self.serve_here, tls, timeout_s)

    def serve_here(
        self, tls: ServerTls | ssl.SSLContext, timeout_s: float = TIMEOUT_S
    ) -> TlsTransport:
        """Make the handshake of the server's end."""
        context = server_context(tls) if isinstance(tls, ServerTls) else tls
        transport = TlsTransport(self.near, context, self.wake_read)
        try:
            transport.handshake(timeout_s)
        except BaseException:
            transport.close()
            raise
        return self._kept(transport)

    def call(self, tls: ClientTls, host: str = HOST, timeout_s: float = TIMEOUT_S) -> TlsTransport:
        """Make the handshake of the client's end."""
        return self._kept(connect_tls(self.far, tls, host, timeout_s))

    def secure(self, server: ServerTls, client: ClientTls) -> tuple[TlsTransport, TlsTransport]:
        """Make both: the server's end and the client's."""
        serving = self.serve(server)
        calling = self.call(client)
        return serving.result(TIMEOUT_S), calling

    def _kept(self, transport: TlsTransport) -> TlsTransport:
        self.opened.append(transport)
        return transport


@contextmanager
def open_line(buffer_bytes: int | None = None) -> Iterator[Line]:
    """Connect two sockets, with small send buffers if so wanted."""
    with socket.create_server((HOST, 0)) as listener:
        far = socket.create_connection(listener.getsockname(), TIMEOUT_S)
        near, _ = listener.accept()
    if buffer_bytes is not None:
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    ends = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        line = Line(near, far, *ends, pool)
        try:
            yield line
        finally:
            for transport in line.opened:
                transport.break_off()
                transport.close()
            near.close()
            far.close()
    for number in ends:
        os.close(number)


def wrapped_client(line: Line, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Make a client of the standard library at the far end, that trusts everybody."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(line.far)
