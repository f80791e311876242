"""TLS for the upper layer: the profiles of PS3.15 Annex B, certificates, and what was agreed."""

from pacs_sdk.network.tls.context import ServerTlsContext
from pacs_sdk.network.tls.facts import TlsFacts
from pacs_sdk.network.tls.profiles import TlsProfile
from pacs_sdk.network.tls.settings import DICOM_TLS_PORT, ClientTls, ServerTls

__all__ = [
    "DICOM_TLS_PORT",
    "ClientTls",
    "ServerTls",
    "ServerTlsContext",
    "TlsFacts",
    "TlsProfile",
]
