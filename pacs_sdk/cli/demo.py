"""``pacs demo``: the main job end to end, on this machine, in seconds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs_sdk.cli.output import bar, seconds, size, table

if TYPE_CHECKING:
    from pacs_sdk.cli.demo_steps import Step
    from pacs_sdk.integration.pacs import Pacs

__all__ = ["demo"]

_COLUMNS = ("Step", "What", ">Size", ">Time", ">MB/s", "Checked")


def demo(
    png: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the picture goes; it is replaced.")
    ] = Path("pacs-demo.png"),
) -> None:
    """Show that everything works: store, query, fetch, load and draw two CT series.

    An archive in a temporary folder receives, over a real socket, a CT series that
    pydicom brings and a phantom of known values. They are queried, fetched, compared
    byte for byte, and the phantom is loaded as a volume and held against the truth. Exit
    code 0 only if every check held.
    """
    begin = time.monotonic()
    steps: list[Step] = []
    with tempfile.TemporaryDirectory(prefix="pacs-demo-") as folder:
        try:
            for step in _steps(Path(folder), png):
                steps.append(step)  # noqa: PERF402  # what was done is shown if the rest fails
        finally:
            if steps:
                table(_COLUMNS, map(_row, steps), title="pacs demo", always=True)
    typer.echo(f"every check held, in {seconds(time.monotonic() - begin)}")
    typer.echo(f"picture: {png.resolve()}")


def _steps(folder: Path, png: Path) -> Iterator[Step]:
    """Do one step after the other; the first check that fails ends it."""
    from pacs_sdk.cli import demo_steps
    from pacs_sdk.integration.pacs import Pacs

    sample, step = demo_steps.sample_series()
    yield step
    phantom, made, step = demo_steps.phantom_series()
    yield step
    begin = time.monotonic()
    fetched = folder / "fetched"
    with Pacs.embedded(folder / "archive", ae_title="PACS_DEMO") as pacs:
        yield _started(pacs, time.monotonic() - begin)
        for series in (sample, made):
            with bar(f"Sending {series.name}", len(series.instances)) as progress:
                step = demo_steps.send(pacs, series, progress)
            yield step
        yield from demo_steps.query(pacs, (sample, made))
        for series in (sample, made):
            with bar(f"Fetching {series.name}", len(series.instances)) as progress:
                step = demo_steps.fetch(pacs, series, fetched, progress)
            yield step
    yield demo_steps.compare((sample, made), fetched)
    loaded, step = demo_steps.load(phantom, fetched / made.study_uid)
    yield step
    yield demo_steps.draw(loaded, png)


def _started(pacs: Pacs, duration_s: float) -> Step:
    from pacs_sdk.cli.demo_steps import Step

    return Step("start archive", f"port {pacs.port}", "", duration_s)


def _row(step: Step) -> Sequence[str]:
    return (
        step.name,
        step.count,
        size(step.size_bytes) if step.size_bytes else "",
        seconds(step.duration_s),
        f"{step.size_bytes / 1e6 / step.duration_s:.1f}" if step.is_transfer else "",
        step.checked,
    )
