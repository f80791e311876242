"""A series of a peer, fetched into memory."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, Success, raised
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.network import Peer
from pacs_sdk.services import QueryScu, RetrieveScu

__all__ = ["RemoteSeries"]


@attrs.frozen
class RemoteSeries:
    """A series that a peer has; loading it fetches it by C-GET, into memory, without files."""

    peer: Peer
    """Whom to ask."""
    series_instance_uid: str
    """Which series."""
    study_instance_uid: str = ""
    """Its study, which a C-GET has to name (PS3.4 C.4.3.2.1). Where it isn't given the peer is
    asked for it by C-FIND, which not every peer answers without a study."""
    client: RetrieveScu = attrs.field(factory=RetrieveScu)
    """Who we are and how long we wait."""

    def instances(self) -> Iterator[Instance]:
        """Fetch the instances.

        Raises:
            PacsException: ``RETRIEVE_FAILED`` where an instance could not be fetched,
                ``SERIES_NOT_LOADABLE`` where the peer does not know the series, or what the
                association gives.
        """
        kept: list[Instance] = []

        def keep(instance: Instance) -> PacsResult[object]:
            # The bytes are the receiver's, who uses them again for the next instance.
            copy = MemoryBytes(bytes(instance.encoded.view()))
            kept.append(attrs.evolve(instance, encoded=copy))
            return Success(None)

        identifier = DicomDataset(
            QueryRetrieveLevel="SERIES",
            StudyInstanceUID=self.study_instance_uid or self._find_study(),
            SeriesInstanceUID=self.series_instance_uid,
        )
        report = raised(self.client.get(self.peer, identifier, keep))
        if report.failed:
            raise PacsException(
                ErrorCode.RETRIEVE_FAILED,
                f"{report.failed} of {report.failed + report.received} instances of series "
                f"{self.series_instance_uid} could not be fetched from {self.peer.ae_title}",
                series=self.series_instance_uid,
            )
        return iter(kept)

    def _find_study(self) -> str:
        client = self.client
        question = DicomDataset(
            QueryRetrieveLevel="SERIES",
            StudyInstanceUID="",
            SeriesInstanceUID=self.series_instance_uid,
        )
        scu = QueryScu(client.ae_title, client.timeouts, client.logger, client.clock)
        for match in raised(scu.find(self.peer, question)):
            study = str(match.get("StudyInstanceUID") or "")
            if study:
                return study
        raise PacsException(
            ErrorCode.SERIES_NOT_LOADABLE,
            f"{self.peer.ae_title} knows no series {self.series_instance_uid}; if it needs the "
            "study to find it, give study_instance_uid",
            series=self.series_instance_uid,
        )
