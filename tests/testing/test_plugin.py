from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import ClientTimeouts, Peer, ProposedContext, connect
from pacs_sdk.services import VerificationScu
from pacs_sdk.testing import FakeClock, RecordingLogger

pytest_plugins = ["pytester"]

VERIFICATION = ProposedContext("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))


def test_the_server_answers_on_a_free_port(
    pacs_server: Pacs, recording_logger: RecordingLogger, tmp_path: Path
) -> None:
    """``pacs_server`` is a real server on loopback; ``recording_logger`` hears from it."""
    assert pacs_server.port > 0
    assert pacs_server.peer.host == "127.0.0.1"
    VerificationScu(ae_title="TESTER").echo(pacs_server.peer).unwrap()
    assert recording_logger.wait_for("association-accepted").fields["calling_ae_title"] == "TESTER"
    assert list(tmp_path.iterdir()) == []  # the test's own folder is left alone


def test_the_clock_stands_still(fake_clock: FakeClock) -> None:
    """``fake_clock`` is a new clock for each test."""
    assert fake_clock.monotonic() == 0


def test_what_the_fixture_leaves_behind(pytester: pytest.Pytester) -> None:
    """After a test, its server is gone: no thread, no open port, even with a peer connected."""
    pytester.makepyfile(
        """
        from pathlib import Path

        import pytest

        from pacs_sdk.network import ProposedContext, connect

        CONTEXT = ProposedContext("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))

        @pytest.fixture
        def left_open():
            opened = []
            yield opened
            # Set up before the server, so this is after the server has stopped.
            for association in opened:
                association.release()

        def test_one(left_open, pacs_server):
            left_open.append(connect(pacs_server.peer, "TESTER", [CONTEXT]).unwrap())
            Path("port").write_text(str(pacs_server.port))

        def test_another(pacs_server):
            assert pacs_server.archive.statistics().unwrap().instances == 0
        """
    )
    before = set(threading.enumerate())
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
    assert set(threading.enumerate()) <= before
    port = int((pytester.path / "port").read_text())
    quick = ClientTimeouts(connect_s=1, association_s=1, dimse_s=1)
    gone = connect(Peer("127.0.0.1", port), "TESTER", [VERIFICATION], timeouts=quick)
    assert gone.failure().code.name == "CONNECTION_FAILED"


def test_the_configuration_can_be_replaced(pytester: pytest.Pytester) -> None:
    """A fixture named ``pacs_config`` decides how ``pacs_server`` is configured."""
    pytester.makepyfile(
        """
        import attrs
        import pytest

        @pytest.fixture
        def pacs_config(pacs_config):
            return attrs.evolve(
                pacs_config, server=attrs.evolve(pacs_config.server, ae_title="OTHER")
            )

        def test_title(pacs_server):
            assert pacs_server.peer.ae_title == "OTHER"
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_services_can_be_added(pytester: pytest.Pytester) -> None:
    """A fixture named ``pacs_services`` puts services in the place of those of the PACS."""
    pytester.makepyfile(
        """
        import pytest

        from pacs_sdk.network import FunctionService
        from pacs_sdk.network.dimse import CEchoRQ
        from pacs_sdk.services import VerificationScu

        @pytest.fixture
        def pacs_services():
            ill = FunctionService(["1.2.840.10008.1.1"])
            ill.handles(CEchoRQ)(lambda request: 0x0110)
            return [ill]

        def test_echo(pacs_server):
            assert VerificationScu().check(pacs_server.peer).unwrap().state == "unhealthy"
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_a_server_that_cannot_start_is_an_error_in_words(pytester: pytest.Pytester) -> None:
    """The test that needs it errors with the reason; it does not hang or fail later."""
    pytester.makepyfile(
        """
        import socket

        import attrs
        import pytest

        @pytest.fixture
        def pacs_config(pacs_config):
            with socket.create_server(("127.0.0.1", 0)) as other:
                port = other.getsockname()[1]
                server = attrs.evolve(pacs_config.server, port=port)
                yield attrs.evolve(pacs_config, server=server)

        def test_never(pacs_server):
            pass
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cannot listen on 127.0.0.1 port *Address already in use*"])


def test_fixtures_are_described(pytester: pytest.Pytester) -> None:
    """``pytest --fixtures`` lists each with its docstring."""
    result = pytester.runpytest_inprocess("--fixtures", "-p", "no:cacheprovider")
    for name, words in (
        ("fake_clock", "A clock that stands still"),
        ("pacs_config", "How ``pacs_server`` is configured"),
        ("pacs_services", "Services that ``pacs_server`` has"),
        ("pacs_server", "A running PACS on a free port"),
        ("recording_logger", "A logger that keeps every entry"),
    ):
        result.stdout.fnmatch_lines([f"{name} -- *plugin.py*", f"*{words}*"], consecutive=True)


@pytest.mark.parametrize("module", ["pacs_sdk.testing.plugin", "pacs_sdk.testing"])
def test_the_plugin_costs_test_runs_nothing(module: str) -> None:
    """Loading the plugin loads no database, no pydicom and no NumPy."""
    code = (
        f"import sys, {module}\n"
        "heavy = {'pydicom', 'numpy', 'sqlalchemy', 'returns', 'loguru'} & sys.modules.keys()\n"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_doubles_need_no_pytest() -> None:
    """``pacs_sdk.testing`` works in any test framework; only the plugin needs pytest."""
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from pacs_sdk.testing import FakeClock, MemoryStorage, RecordingLogger\n"
        "print(FakeClock(), MemoryStorage(), RecordingLogger())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
