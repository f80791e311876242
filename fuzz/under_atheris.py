"""``python -m fuzz.under_atheris TARGET [libFuzzer's arguments]``: one target, in this process."""

from __future__ import annotations

import logging
import sys
import warnings

import atheris

with atheris.instrument_imports(include=["pacs_sdk"]):
    from fuzz.expectations import bounded
    from fuzz.targets import TARGETS


def main() -> None:
    """Run until libFuzzer ends the process: time is up, or a defect was found."""
    warnings.simplefilter("ignore")  # pydicom's, about odd values: they would fill the terminal
    logging.disable()
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], bounded(target.run))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
