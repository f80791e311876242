"""``pacs conformance``: what a server with this configuration supports, as a document."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pacs_sdk.cli.options import ServerAe

__all__ = ["conformance"]


def conformance(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="The configuration that pacs serve is run with."),
    ] = None,
    ae_title: ServerAe = None,
    html: Annotated[
        bool, typer.Option("--html", help="Write one HTML page instead of Markdown.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write it.", show_default="stdout"),
    ] = None,
    product: Annotated[
        str, typer.Option(metavar="NAME", help="What the statement calls the system.")
    ] = "pacs_sdk",
    manufacturer: Annotated[
        str, typer.Option(metavar="NAME", help="Who answers for it.", show_default="left out")
    ] = "",
) -> None:
    """Write the DICOM conformance statement of a configuration (PS3.2 Annex N).

    Settings come from the file, then from environment variables, as for pacs serve. The
    archive is not touched, and no port is opened. Services that the configuration adds are
    loaded and are in the statement.
    """
    import attrs

    from pacs_sdk.core.results import raised
    from pacs_sdk.integration.config import PacsConfig
    from pacs_sdk.integration.conformance import conformance_statement
    from pacs_sdk.integration.pacs import Pacs

    overrides = {} if ae_title is None else {"server": {"ae_title": ae_title}}
    settings: PacsConfig = raised(PacsConfig.layered(toml=config, overrides=overrides))
    with tempfile.TemporaryDirectory(prefix="pacs-conformance-") as folder:
        storage = attrs.evolve(settings.storage, data_dir=Path(folder), database_url=None)
        pacs = Pacs.configured(attrs.evolve(settings, storage=storage))
        try:
            statement = raised(
                conformance_statement(pacs, product=product, manufacturer=manufacturer)
            )
        finally:
            pacs.archive.close()
    text = statement.html() if html else statement.markdown()
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")
