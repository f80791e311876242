"""Where the ``pacs`` program begins."""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
import warnings
from typing import Final, NoReturn

__all__ = ["main"]

_EXTRA_PACKAGES: Final = frozenset(("typer", "rich"))
"""What the ``cli`` extra brings."""


_INTERRUPTED: Final = 130
"""What a shell calls a program that Ctrl-C has ended, and typer too."""


def main() -> None:
    """Run ``pacs`` and exit: 0 done, 1 the operation failed, 2 bad usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is shown as \\u…, not a crash.
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        # Python's warnings are for programmers; what users must know is said in words.
        warnings.simplefilter("ignore")
    try:
        import rich  # noqa: F401  # typer and our tables load it only when they need it

        from pacs_sdk.cli.app import app
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _EXTRA_PACKAGES:
            raise
        sys.exit(f"pacs: {exc.name} is not installed; run: pip install 'pacs-sdk[cli]'")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # help, say, that is written to a full disk
    except OSError as exc:
        _end_unwritten(exc)
    finally:
        # Python looks through every object at its end for what can be freed, which takes a
        # tenth of a second with pydicom's dictionaries. All memory goes with the process.
        gc.freeze()


def _end_unwritten(error: OSError) -> NoReturn:
    """End a program whose output cannot be written; who reads no more needs no words."""
    # Python would try once more at its end, and tell of it in its own words.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1 if error.errno == errno.EPIPE else f"pacs: {error.strerror or error}")


if __name__ == "__main__":
    main()
