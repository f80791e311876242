"""C-FIND, the asking side (PS3.4 C.4.1.2)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from pacs_sdk.core.dataset import DatasetLike, DicomDataset
from pacs_sdk.core.results import edge
from pacs_sdk.network import Peer, ProposedContext, RequestorOptions
from pacs_sdk.services.query.identifiers import IDENTIFIER_SYNTAXES
from pacs_sdk.services.query.negotiation import FindNegotiation
from pacs_sdk.services.query.question import Question
from pacs_sdk.services.query.stream import FoundMatches
from pacs_sdk.services.scu import Proposal, ServiceUser
from pacs_sdk.services.sop_classes import InformationModel
from pacs_sdk.storage import MatchTable, Query

__all__ = ["QueryScu"]

_NOTHING: FindNegotiation = FindNegotiation()


@attrs.frozen
class QueryScu(ServiceUser):
    """Asks a peer what it has.

    What is asked is an identifier, with Query/Retrieve Level, matching keys, and empty
    elements for what shall come back; or a :class:`~pacs_sdk.storage.Query`, as an archive
    of one's own is asked.
    """

    def proposals(self) -> Sequence[Proposal]:
        """List what it may propose (PS3.2 N.7), for a conformance statement.

        Returns:
            One for each information model, with all that may be asked for by extended
            negotiation (PS3.4 C.5.1.1); a query asks for what it needs of that.
        """
        everything = FindNegotiation(*(True for _ in attrs.fields(FindNegotiation)))
        return tuple(_proposal(model, everything) for model in InformationModel)

    @edge()
    def find(
        self,
        peer: Peer,
        asked: DatasetLike | Query,
        model: InformationModel | None = None,
        limit: int | None = None,
        negotiation: FindNegotiation = _NOTHING,
    ) -> tuple[DicomDataset, ...]:
        """Send one C-FIND and collect the matches.

        Args:
            peer: Whom to ask.
            asked: An identifier or a query.
            model: The information model; Patient Root for the PATIENT level and Study
                Root otherwise, by default.
            limit: Cancel after this many matches.
            negotiation: What the peer has to agree to. The options of a query are added;
                relational queries are proposed by themselves where unique keys are missing.

        Returns:
            ``Success`` with the matches, or ``Failure`` with ``FIND_FAILED``,
            ``FIND_INVALID_IDENTIFIER``, ``INVALID_ARGUMENT``, ``OPERATION_NOT_SUPPORTED``
            for what the peer does not agree to, or a network error
            (``PRESENTATION_CONTEXT_REFUSED`` for a model that it does not have).
        """
        with self._stream(peer, Question.of(asked, model, limit, negotiation)) as matches:
            return tuple(matches)

    @edge()
    def table(
        self,
        peer: Peer,
        asked: DatasetLike | Query,
        model: InformationModel | None = None,
        limit: int | None = None,
        negotiation: FindNegotiation = _NOTHING,
    ) -> MatchTable:
        """Send one C-FIND and collect the matches as a table, for pandas, Arrow and notebooks.

        Returns:
            ``Success`` with the table, whose rows are also records; or a ``Failure`` as
            :meth:`find`, whose arguments it has.
        """
        with self._stream(peer, Question.of(asked, model, limit, negotiation)) as found:
            return MatchTable(found.matches())

    @edge()
    def stream(
        self,
        peer: Peer,
        asked: DatasetLike | Query,
        model: InformationModel | None = None,
        limit: int | None = None,
        negotiation: FindNegotiation = _NOTHING,
    ) -> FoundMatches:
        """Send one C-FIND, and let the matches come as they are asked for.

        Returns:
            ``Success`` with the matches, a context manager: leaving it early cancels the
            query. Or a ``Failure`` as :meth:`find`, whose arguments it has; what goes wrong
            later is raised while iterating.
        """
        return self._stream(peer, Question.of(asked, model, limit, negotiation))

    def _stream(self, peer: Peer, question: Question) -> FoundMatches:
        association = self._connect(peer, _proposal(question.model, question.proposed))
        try:
            return FoundMatches(association, question, self.clock, self.timeouts.dimse_s)
        except BaseException:
            association.release()  # harmless where the query was begun, and ended it
            raise


def _proposal(model: InformationModel, negotiation: FindNegotiation) -> Proposal:
    extended = {} if negotiation == _NOTHING else {model.find: negotiation.encode()}
    contexts = (ProposedContext(model.find, IDENTIFIER_SYNTAXES),)
    return Proposal("C-FIND", contexts, RequestorOptions(extended=extended))
