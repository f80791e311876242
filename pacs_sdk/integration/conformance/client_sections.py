"""The client in sections 4, 5, 7 and 8 (PS3.2 N.4, N.5, N.7, N.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from pacs_sdk.integration.conformance.client import Client
from pacs_sdk.integration.conformance.client_statuses import outcome_sections
from pacs_sdk.integration.conformance.document import Bullets, Paragraph, Section, Table
from pacs_sdk.integration.conformance.facts import C_FIND, Facts, syntax_name
from pacs_sdk.network import ClientTls, ProposedContext, ServerConfig, TlsProfile
from pacs_sdk.network.contexts import DEFAULT_MAXIMUM_LENGTH
from pacs_sdk.services import FindNegotiation, Proposal, sop_class_name

__all__ = [
    "PROPOSED_COLUMNS",
    "client_associations",
    "client_definition",
    "client_security",
    "client_services",
]

PROPOSED_COLUMNS: Final = (
    "Operation",
    "SOP class",
    "UID",
    "Transfer syntaxes",
    "Role",
    "Extended negotiation",
)
"""The table of proposed presentation contexts."""

_SCP: Final = "SCP"
_SCU: Final = "SCU"

_FIND_FLAGS: Final = tuple(field.name.replace("_", " ") for field in attrs.fields(FindNegotiation))


def client_definition(facts: Facts) -> Section:
    """Say what the client is and does."""
    client = facts.client
    return Section(
        "Functional Definition of the Client",
        (
            Paragraph(
                "It opens an association when a program or a command wants something of a peer: "
                f"as {client.ae_title} where it belongs to this configuration, as "
                f"{client.command_ae_title} where a command is not told another AE title. It "
                "releases the association when that is done."
            ),
            Bullets(
                (
                    "C-ECHO: it makes sure that a peer is there",
                    "C-STORE: it sends instances to a peer",
                    "C-FIND: it asks a peer what there is",
                    "C-GET: it fetches instances on the same association",
                    (
                        "C-MOVE: it has a peer send instances to a destination, or to itself: then it "
                        "listens for them as Storage SCP as long as the C-MOVE takes"
                    ),
                )
            ),
        ),
    )


def client_services(facts: Facts) -> Section:
    """Describe what the client makes of the answers to its operations."""
    return Section(
        "Services of the Client",
        (
            Paragraph(
                "What the client proposes for each operation is in section 7.5. What an answer "
                "leads to is told to the program as a result, and by a command in words and in its "
                "exit code."
            ),
        ),
        (
            *outcome_sections(facts.client),
            Section(
                "Instances that C-GET Brings",
                (
                    Paragraph(
                        "A C-STORE sub-operation is answered with success (0000H) when the "
                        "instance has been kept. What keeps it may fail: its error has the status "
                        "that section 5.1 has for the same error of a C-STORE."
                    ),
                ),
            ),
        ),
    )


# -- section 7 -----------------------------------------------------------------------------


def client_associations(facts: Facts) -> Section:
    """Describe the associations that the client opens, and what it proposes."""
    client = facts.client
    return Section(
        "Associations of the Client",
        (Table(("Parameter", "Value"), _parameters(client)),),
        (
            Section(
                "Proposed Presentation Contexts",
                (
                    Paragraph(
                        "Each operation has an association of its own, with the context of its "
                        "SOP class, and for C-GET with storage contexts besides, in the role of "
                        "SCP (role selection, PS3.7 D.3.3.4). What is listed for extended "
                        "negotiation (PS3.7 D.3.3.5) is proposed where a request needs it."
                    ),
                    Table(PROPOSED_COLUMNS, _proposed(client)),
                ),
            ),
            Section(
                "Proposed Storage Contexts",
                (
                    Paragraph(
                        "What is sent, and what is got from a peer that tells SOP classes and "
                        "transfer syntaxes by C-FIND, has contexts of its own SOP class, whichever "
                        "that is. Each row is a context, with its transfer syntaxes in order of "
                        "preference; one in which instances are stored has the first context and "
                        "no place in the others. Transfer syntaxes that a program wants to send in come "
                        "first, with a context each. More than 128 contexts go over several "
                        "associations."
                    ),
                    Table(("When", "Transfer syntaxes", "Role"), _storage(client)),
                ),
            ),
            _receiving(client),
        ),
    )


def _parameters(client: Client) -> Iterator[tuple[str, str]]:
    timeouts, store = client.timeouts, client.store
    performed = max(one.options.max_operations_performed for one in client.proposals)
    yield "AE title", client.ae_title
    yield "AE title of commands, by default", client.command_ae_title
    yield "Maximum PDU length that is received", f"{DEFAULT_MAXIMUM_LENGTH} bytes"
    yield (
        "Asynchronous operations window, invoked",
        f"{store.window} for C-STORE unless more is asked for",
    )
    yield "Asynchronous operations window, performed", f"{performed} for C-GET, otherwise 1"
    yield "Associations at a time", f"{store.parallel} unless more are asked for, to send instances"
    yield (
        "Attempts for an instance",
        f"{store.retry.attempts} unless more are asked for",
    )
    yield "Time for the TCP connection and for TLS", f"{timeouts.connect_s:g} s each"
    yield "Time for the answer to an association request", f"{timeouts.association_s:g} s"
    yield (
        "Time a peer may send nothing, or take nothing",
        f"{timeouts.dimse_s:g} s, and {client.retrieve_timeouts.dimse_s:g} s in C-GET and C-MOVE",
    )


def _proposed(client: Client) -> Iterator[tuple[str, ...]]:
    """Give a row for each context; those that several operations have once for all of them."""
    rows: dict[tuple[ProposedContext, str], list[str]] = {}
    for proposal in client.proposals:
        for context in proposal.contexts:
            names = rows.setdefault((context, _extended(proposal, context)), [])
            if proposal.operation not in names:
                names.append(proposal.operation)
    for (context, extended), operations in rows.items():
        yield (
            ", ".join(operations),
            sop_class_name(context.abstract_syntax),
            context.abstract_syntax,
            ", ".join(map(syntax_name, context.transfer_syntaxes)),
            _SCP if context.as_scp else _SCU,
            extended or "–",
        )


def _extended(proposal: Proposal, context: ProposedContext) -> str:
    flags = proposal.options.extended.get(context.abstract_syntax, b"")
    names = _FIND_FLAGS if proposal.operation == C_FIND else ("relational retrieval",)
    return ", ".join(name for name, flag in zip(names, flags, strict=False) if flag)


def _storage(client: Client) -> Iterator[tuple[str, ...]]:
    for kind in client.storage:
        for syntaxes in kind.transfer_syntaxes:
            yield (
                kind.use,
                ", ".join(map(syntax_name, syntaxes)),
                _SCP if kind.as_scp else _SCU,
            )


def _receiving(client: Client) -> Section:
    groups: dict[tuple[str, frozenset[str]], list[str]] = {}
    for service, context in client.receiving:
        key = (type(service).__name__, context.transfer_syntaxes)
        groups.setdefault(key, []).append(sop_class_name(context.abstract_syntax))
    rows = [
        (
            names[0] if len(names) == 1 else f"{len(names)} storage SOP classes of PS3.6",
            ", ".join(sorted(map(syntax_name, syntaxes))),
        )
        for (_, syntaxes), names in groups.items()
    ]
    config = ServerConfig()
    return Section(
        "Receiving What a C-MOVE Brings",
        (
            Paragraph(
                "The client listens on the port that it is given, under the AE title of the Move "
                "Destination, which must be called. It takes any calling AE title, up to "
                f"{config.max_associations} associations at a time, in clear unless it is "
                "told to speak TLS (section 8.2), and these contexts as SCP:"
            ),
            Table(("SOP classes", "Transfer syntaxes"), rows),
        ),
    )


# -- section 8 -----------------------------------------------------------------------------


def client_security() -> Section:
    """Describe the TLS of the client."""
    usual = ClientTls()
    host = "must" if usual.check_hostname else "need not"
    return Section(
        "Secure Transport Connection of the Client",
        (
            Paragraph(
                "The client speaks TLS with a peer for which that is asked for, with one of these "
                f"profiles; {usual.profile.value} unless another is chosen. The peer's "
                "certificate must be trusted by a CA that is given, or by one of the operating "
                f"system, and {host} name the host that is called unless that is changed. A "
                "certificate of its own is shown where it is given one."
            ),
            Table(
                ("Profile", "Versions", "Cipher suites of TLS 1.2"),
                (
                    (
                        one.value,
                        one.versions_in_words,
                        ", ".join(one.cipher_suites) or "none: TLS 1.3 alone",
                    )
                    for one in TlsProfile
                ),
            ),
        ),
    )
