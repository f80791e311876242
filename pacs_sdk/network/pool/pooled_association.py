"""An association on loan from a pool."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.pool.values import AssociationT

__all__ = ["PooledAssociation"]


class PooledAssociation(Generic[AssociationT]):
    """An association that its user has to give back; a context manager.

    Its context gives the association. Leaving it returns the association to the pool, or
    aborts it when an exception is passing: nobody knows then what the peer still sends.
    """

    def __init__(
        self, association: AssociationT, is_reused: bool, give_back: Callable[[bool], None]
    ) -> None:
        self.is_reused = is_reused
        """Whether it was open before."""
        self._association: AssociationT | None = association
        self._give_back = give_back
        self._lock = threading.Lock()

    @property
    def association(self) -> AssociationT:
        """The association, until it is given back.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` after that: it may be somebody else's.
        """
        association = self._association
        if association is None:
            raise PacsException(
                ErrorCode.PROTOCOL_MISUSE,
                "the association was given back to the pool; acquire another one",
            )
        return association

    def give_back(self, *, failed: bool = False) -> None:
        """Return the association; harmless when it was returned.

        Args:
            failed: Whether it must not be used again; it is aborted then.
        """
        with self._lock:
            association, self._association = self._association, None
        if association is not None:
            self._give_back(failed)

    def __enter__(self) -> AssociationT:
        return self.association

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        self.give_back(failed=exc_type is not None)
