"""``pacs render``: make a picture of a DICOM image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pacs_sdk.cli.errors import printable

if TYPE_CHECKING:
    from pacs_sdk.encoding.rendering import RenderedFrame, Window

__all__ = ["render"]

_PNG: Final = (".png",)
_JPEG: Final = (".jpg", ".jpeg")
_SIZE: Final = re.compile(r"([0-9]{1,9})[xX×]([0-9]{1,9})")


def render(  # each is an argument of the command line
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A DICOM file with an image.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The picture to write: .png, .jpg or .jpeg.")
    ],
    frame: Annotated[
        int,
        typer.Option(metavar="N", help="Which frame, from 0; negative ones count from the end."),
    ] = 0,
    window: Annotated[
        str | None,
        typer.Option(
            metavar="C,W",
            help="Window center and width, in the unit of the image, such as 40,400; "
            "by default what the image suggests.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Width and height to fit into, such as 800x600."),
    ] = None,
    overlays: Annotated[
        bool, typer.Option("--overlays/--no-overlays", help="Draw overlay planes.")
    ] = True,
) -> None:
    """Render a frame as it is to be seen, and write it as PNG or JPEG.

    Modality LUT, window or VOI LUT, presentation LUT, palette and overlays are applied; what
    was applied is printed.
    """
    from pacs_sdk.core.results import raised
    from pacs_sdk.encoding.rendering import render_frame

    if out.suffix.lower() not in (*_PNG, *_JPEG):
        raise typer.BadParameter(
            f"{out.name} has to end with .png, .jpg or .jpeg", param_hint="OUT"
        )
    chosen, fitted = _window(window), _size(size)
    picture = raised(render_frame(file, frame, window=chosen, size=fitted, overlays=overlays))
    out.write_bytes(_encoded(picture, out))
    rows, columns = picture.pixels.shape[:2]
    steps = printable("; ".join(picture.steps))  # some of the words come from the file
    typer.echo(f"wrote {out}: {columns} × {rows}; {steps}")


def _encoded(picture: RenderedFrame, out: Path) -> bytes:
    from pacs_sdk.core.results import raised

    return raised(picture.png() if out.suffix.lower() in _PNG else picture.jpeg())


def _window(text: str | None) -> Window | None:
    from pacs_sdk.core.errors import PacsException
    from pacs_sdk.encoding.rendering import Window

    if text is None:
        return None
    try:
        center, width = (float(part) for part in text.split(","))
        return Window(center, width)
    except ValueError:
        words = f"{text!r} is not a center and a width, such as 40,400"
    except PacsException as exc:
        words = exc.error.message
    raise typer.BadParameter(words, param_hint="--window")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is not a width and a height, such as 800x600", param_hint="--size"
        )
    return int(found[1]), int(found[2])
