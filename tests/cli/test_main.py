from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from pacs_sdk.cli.app import COMMANDS
from pacs_sdk.cli.errors import TRACEBACK_VARIABLE, CommandFailed, describe, in_words, printable
from pacs_sdk.core import ErrorCode, PacsError, PacsException
from tests.cli.helpers import DEADLINE_S, PROGRAM, pacs, run_program, succeeded


def test_version() -> None:
    """``pacs --version`` names the version of the distribution."""
    assert succeeded(pacs("--version")) == f"pacs-sdk {version('pacs-sdk')}\n"


def test_help_names_every_command() -> None:
    """``pacs --help`` lists exactly the commands that exist."""
    text = succeeded(pacs("--help"))
    names = [command.__name__ for command in COMMANDS]
    assert names == [
        "serve",
        "echo",
        "store",
        "query",
        "find",
        "get",
        "move",
        "dump",
        "render",
        "volume",
        "transcode",
        "validate",
        "reindex",
        "conformance",
        "demo",
    ]
    for name in names:
        assert f"│ {name}" in text


@pytest.mark.parametrize("name", [command.__name__ for command in COMMANDS])
def test_every_command_has_help(name: str) -> None:
    """``pacs COMMAND --help`` says what the command does."""
    assert "Usage:" in succeeded(pacs(name, "--help"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("echo",),
        ("echo", "localhost", "no-number"),
        ("echo", "localhost", "0"),
        ("echo", "localhost", "104", "--aec", "SEVENTEEN_LETTERS"),
        ("echo", "localhost", "104", "--aet", " "),
        ("echo", "localhost", "104", "--aet", "B\\S"),
        ("serve", "--ae-title", ""),
        ("find", "localhost", "104", "--level", "SLICE"),
        ("store", "localhost", "104"),
    ],
)
def test_bad_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    """What cannot be meant is refused before anything is done, with exit code 2."""
    result = pacs(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error" in result.stderr


def test_help_loads_no_heavy_package() -> None:
    """``pacs --help`` is quick: it loads neither pydicom nor a database."""
    code = (
        "import sys; from pacs_sdk.cli.app import app\n"
        "heavy = {'pydicom', 'numpy', 'sqlalchemy', 'SimpleITK', 'dependency_injector'}\n"
        "sys.exit(str(sorted(heavy & sys.modules.keys())) if heavy & sys.modules.keys() else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_missing_extra_is_said_in_one_line(package: str) -> None:
    """Without the ``cli`` extra, ``pacs`` says how to install it and exits with 1."""
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pacs_sdk.cli.main import main; sys.argv = ['pacs', 'dump', '--help']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == f"pacs: {package} is not installed; run: pip install 'pacs-sdk[cli]'\n"


def test_a_broken_import_of_ours_is_not_taken_for_a_missing_extra() -> None:
    """Only what the extra brings is blamed on the extra."""
    code = (
        "import sys; sys.modules['pacs_sdk.cli.options'] = None\n"
        "from pacs_sdk.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert "pip install" not in done.stderr
    assert "ModuleNotFoundError" in done.stderr


# -- errors in words ---------------------------------------------------------------------------


def _raising(error: Exception) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)

    def command() -> None:
        raise error

    app.command()(in_words(command))
    return app


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CommandFailed("the disk is upside down; turn it"), "the disk is upside down; turn it"),
        (PacsException(ErrorCode.FIND_FAILED, "no luck"), "no luck"),
        (
            PacsException(ErrorCode.TRUNCATED, "it ends early"),
            "it ends early; copy or export the file again",
        ),
        (
            PacsException(ErrorCode.INDEX_FAILED, "it is open in process 7; stop that first"),
            "it is open in process 7; stop that first",
        ),
        (
            PacsException(ErrorCode.ASSOCIATION_REJECTED, "rejected; not for now"),
            "rejected; not for now; check --aec and --aet against what the peer is configured for",
        ),
        (PermissionError(13, "Permission denied", "/root/x"), "/root/x: Permission denied"),
    ],
)
def test_errors_become_one_line_and_exit_code_1(error: Exception, words: str) -> None:
    """A failure is one line on stderr that says what to do, and exit code 1."""
    result = typer.testing.CliRunner().invoke(_raising(error), [])
    assert result.exit_code == 1
    assert result.stderr == f"pacs: {words}\n"


def test_a_bug_of_ours_is_no_traceback_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error asks to be reported; the traceback comes only when asked for."""
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    bug = ZeroDivisionError("division by zero")
    result = typer.testing.CliRunner().invoke(_raising(bug), [])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("pacs: unexpected ZeroDivisionError: division by zero; please report")

    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    shown = typer.testing.CliRunner().invoke(_raising(bug), [])
    assert shown.exit_code == 1
    assert "Traceback" in shown.stderr


def test_text_of_a_peer_cannot_break_the_line() -> None:
    """Control characters from outside are blanked, so an error stays one plain line."""
    hostile = PacsError(ErrorCode.FIND_FAILED, "first\r\nsecond\x1b[2J\x07 end")
    assert describe(hostile) == "first second [2J  end"
    assert printable("Müller^Jörg 日本\t×") == "Müller^Jörg 日本 ×"


@pytest.mark.slow
def test_ctrl_c_ends_a_command_quietly() -> None:
    """SIGINT while waiting for a peer gives exit code 130 and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE_S)
        port = silent.getsockname()[1]
        with subprocess.Popen(
            # A background job begins with SIGINT ignored; a user's terminal does not.
            ["/usr/bin/env", "--default-signal=INT", *PROGRAM, "echo", "127.0.0.1", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            connection, _ = silent.accept()
            with connection:
                connection.settimeout(DEADLINE_S)
                assert connection.recv(1)  # its request has come, so it waits for the answer
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert (out, err) == ("", "")


def test_a_closed_pipe_is_no_error_message() -> None:
    """``pacs dump … | head -1`` ends without a word on stderr."""
    from tests.cli.helpers import TEST_FILES

    with subprocess.Popen(
        [*PROGRAM, "dump", str(TEST_FILES / "rtplan.dcm"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("conformance",)])
@pytest.mark.slow
def test_a_full_disk_is_said_in_one_line(arguments: tuple[str, ...]) -> None:
    """Whatever is written: the reason on stderr, and exit code 1."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=buffered,  # so that it is met at the end
            check=False,
            timeout=DEADLINE_S,
        )
    assert done.returncode == 1
    assert done.stderr == "pacs: No space left on device\n"


def test_ctrl_c_while_the_program_loads_is_quiet() -> None:
    """It ends with exit code 130 as later, not with a traceback."""
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pacs_sdk.cli.app': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from pacs_sdk.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_name_of_a_file_cannot_break_the_line(tmp_path: Path) -> None:
    """Whoever names a file can neither move the cursor nor add a line to what is told."""
    (tmp_path / "a\nb\x1b[2Jc.txt").write_text("no DICOM")
    assert f"pacs: {tmp_path}/a b [2Jc.txt: skipped, not DICOM\n" in (
        pacs("transcode", tmp_path, tmp_path / "out", "--to", "RLELossless").stderr
    )


def test_text_that_the_terminal_lacks_is_shown_in_ascii() -> None:
    """With an ASCII stdout, other characters are escaped instead of being a crash."""
    done = run_program("--help", environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
