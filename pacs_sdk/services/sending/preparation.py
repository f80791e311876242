"""What becomes of an instance before it is sent: its context is chosen, its bytes are read."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.whole_bytes import read_whole
from pacs_sdk.encoding import Instance
from pacs_sdk.network import AcceptedContext, DicomAssociation
from pacs_sdk.services.reencode import reencoded, usable_contexts
from pacs_sdk.services.sending.settings import SendSettings
from pacs_sdk.services.sop_classes import sop_class_name

__all__ = ["Preparation", "Ready"]

_MOST_READ_BYTES: Final = 64 << 20
"""Longer files are mapped in any case: memory is for several of them at a time."""


@attrs.frozen
class Ready:
    """An instance that can be sent at once."""

    context: AcceptedContext
    """The presentation context to send it in."""
    sent: Instance
    """What is sent in its place: itself, unless it had to be re-encoded."""
    data: ByteSource
    """The data set, read or mapped already."""


class Preparation:
    """Prepares instances for one association.

    Args:
        association: Where they are sent.
        settings: What may be done to them.
    """

    def __init__(self, association: DicomAssociation, settings: SendSettings) -> None:
        self._association = association
        self._settings = settings
        self._contexts: dict[tuple[str, str], tuple[AcceptedContext, ...]] = {}

    @edge()
    def of(self, instance: Instance) -> Ready:
        """Choose the context to send an instance in, re-encoded if it must be, and read it.

        Returns:
            ``Success``, or ``Failure`` with ``PRESENTATION_CONTEXT_REFUSED`` or
            ``FILE_READ_FAILED``, or with what reading and transcoding give.
        """
        failed = ""
        for context in self._usable(instance):
            if context.transfer_syntax == instance.transfer_syntax_uid:
                return Ready(context, instance, self._read(instance))
            try:
                sent = reencoded(instance, context.transfer_syntax, self._settings.options)
            except PacsException as exc:
                failed = failed or f"; it cannot be re-encoded: {exc.error.message}"
                continue
            return Ready(context, sent, self._read(sent))
        refusal = self._association.context_for(
            instance.sop_class_uid,
            instance.transfer_syntax_uid,
            sop_class_name(instance.sop_class_uid),
        )
        error = refusal.failure()
        raise PacsException(error.code, error.message + failed, **error.details)

    def _usable(self, instance: Instance) -> tuple[AcceptedContext, ...]:
        kind = (instance.sop_class_uid, instance.transfer_syntax_uid)
        contexts = self._contexts.get(kind)
        if contexts is None:
            policy, preferred = self._settings.transcode, self._settings.preferred
            contexts = usable_contexts(self._association.contexts, *kind, policy, preferred)
            self._contexts[kind] = contexts
        return contexts

    def _read(self, instance: Instance) -> ByteSource:
        """Read or map the bytes before anything of the message is sent.

        Raises:
            PacsException: They cannot be read.
        """
        source = instance.encoded
        is_secure = self._settings.peer.tls is not None
        try:
            if is_secure and _may_shrink(source) and source.size <= _MOST_READ_BYTES:
                return MemoryBytes(source.head(source.size))
            return MemoryBytes(read_whole(source))
        except OSError as exc:
            raise PacsException(
                ErrorCode.FILE_READ_FAILED, f"the instance cannot be read: {exc.strerror or exc}"
            ) from exc


def _may_shrink(source: ByteSource) -> bool:
    """Whether it is a file that others may write to, as those of an archive are not.

    Where a mapped file has become shorter, the system refuses to send it; but what TLS sends it
    reads itself, and that would end the process.
    """
    return isinstance(source, FileBytes) and source.modified_ns is not None
