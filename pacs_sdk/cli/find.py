"""``pacs find``: ask a peer what it has, key by key."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from pacs_sdk.cli.matches import (
    AsCsv,
    AsJson,
    Fuzzy,
    Limit,
    check_one_format,
    print_matches,
)
from pacs_sdk.cli.options import (
    CalledAe,
    CallingAe,
    Host,
    Keys,
    Level,
    Port,
    Timeout,
    peer,
    timeouts,
)
from pacs_sdk.cli.output import bar
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

__all__ = ["Model", "find"]


class Model(enum.StrEnum):
    """The information models, as they are typed."""

    PATIENT = "patient"
    STUDY = "study"
    PATIENT_STUDY_ONLY = "patient-study-only"


@with_tls_options
def find(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    host: Host,
    port: Port,
    level: Annotated[
        Level,
        typer.Option(
            metavar="LEVEL",
            help="What to look for: PATIENT, STUDY, SERIES or IMAGE.",
            case_sensitive=False,
        ),
    ] = Level.STUDY,
    key: Keys = [],  # noqa: B006  # typer reads the default and never shares it
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    model: Annotated[
        Model | None,
        typer.Option(
            metavar="MODEL",
            help="The information model: patient, study or patient-study-only; by default "
            "patient for the level PATIENT, otherwise study.",
            case_sensitive=False,
        ),
    ] = None,
    limit: Limit = None,
    fuzzy: Fuzzy = False,
    combined: Annotated[
        bool,
        typer.Option(
            "--combined-datetime",
            help="Take ranges of a date and of its time for one range, if the peer agrees to.",
        ),
    ] = False,
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    timeout: Timeout = 30.0,
    *,
    tls: TlsOptions,
) -> None:
    """Ask a peer which patients, studies, series or images it has (C-FIND).

    A key without a value is returned; if there is none such, the usual ones of the level
    are. Values may have wildcards (Doe*), ranges (20240101-20241231) and, for UIDs,
    lists (repeat the key). In a sequence: RequestAttributesSequence.RequestedProcedureID=R1.

    A terminal gets a table; otherwise each match is one line of tab-separated values, in
    the order of the keys, without a heading. In JSON a value is a string or number, a
    list where there are several, and null where it is empty.
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    from pacs_sdk.cli.keys import (
        RETURN_KEYS,
        add_items,
        identifier,
        is_nested,
        parse_keys,
        parse_nested_keys,
    )
    from pacs_sdk.core.results import raised
    from pacs_sdk.core.tags import DicomTag
    from pacs_sdk.services import FindNegotiation, InformationModel, QueryScu

    nested = parse_nested_keys(text for text in key if is_nested(text))
    keys = parse_keys(text for text in key if not is_nested(text))
    if all((*keys.values(), *nested.values())):
        usual = {DicomTag.of(name): "" for name in RETURN_KEYS[level]}
        keys = usual | keys
    question = identifier(level, keys)
    add_items(question, nested)
    models = {
        Model.PATIENT: InformationModel.PATIENT_ROOT,
        Model.STUDY: InformationModel.STUDY_ROOT,
        Model.PATIENT_STUDY_ONLY: InformationModel.PATIENT_STUDY_ONLY,
    }
    chosen = None if model is None else models[model]
    negotiation = FindNegotiation(fuzzy=fuzzy, combined_datetime=combined)
    scu = QueryScu(ae_title=aet, timeouts=timeouts(timeout))
    with bar("Searching"):
        matches = raised(scu.find(peer(host, port, aec, tls), question, chosen, limit, negotiation))
    print_matches(matches, (*keys, *nested), as_json=as_json, as_csv=as_csv)
