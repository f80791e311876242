from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.config import PacsConfig, StorageConfig
from pacs_sdk.network import Driver, ServerConfig
from pacs_sdk.storage import DuplicatePolicy, Durability


def test_defaults_are_complete_and_local() -> None:
    """Nothing has to be configured, and nothing listens to other machines by itself."""
    config = PacsConfig.from_dict({}).unwrap()
    assert config == PacsConfig()
    assert config.server.host == "127.0.0.1"
    assert config.storage.durability is Durability.DURABLE


def test_text_becomes_the_type_of_the_setting() -> None:
    """Environment variables are text; each is converted to what its setting is."""
    config = PacsConfig.from_environment(
        {
            "PACS_SERVER__PORT": "104",
            "PACS_SERVER__IDLE_TIMEOUT_S": "1.5",
            "PACS_SERVER__REQUIRE_CALLED_AE_TITLE": "yes",
            "PACS_SERVER__CALLING_AE_TITLES": "CT1, MR2",
            "PACS_STORAGE__DATA_DIR": "/srv/pacs",
            "PACS_STORAGE__DUPLICATES": "replace",
            "PACS_STORAGE__LAYOUT": "{PatientID}/{SOPInstanceUID}",
            "PACS_TRACEBACK": "1",
            "PATH": "/bin",
        }
    ).unwrap()
    assert config.server.port == 104
    assert config.server.idle_timeout_s == 1.5
    assert config.server.require_called_ae_title is True
    assert config.server.calling_ae_titles == {"CT1", "MR2"}
    assert config.storage.data_dir == Path("/srv/pacs")
    assert config.storage.duplicates is DuplicatePolicy.REPLACE
    assert config.storage.layout == "{PatientID}/{SOPInstanceUID}"


def test_layers_win_setting_by_setting(tmp_path: Path) -> None:
    """A later source replaces single settings, not whole parts."""
    (tmp_path / "pacs.toml").write_text(
        '[server]\nae_title = "FILE"\nport = 1\nhost = "::1"\n[storage]\ndurability = "relaxed"'
    )
    config = PacsConfig.layered(
        toml=tmp_path / "pacs.toml",
        environment={"PACS_SERVER__PORT": "2", "PACS_SERVER__AE_TITLE": "ENVIRONMENT"},
        overrides={"server": {"ae_title": "OVERRIDE"}},
    ).unwrap()
    assert config.server.ae_title == "OVERRIDE"
    assert config.server.port == 2
    assert config.server.host == "::1"
    assert config.storage.durability is Durability.RELAXED
    assert PacsConfig.layered(environment={}).unwrap() == PacsConfig()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"services": {"enabled": 7}}, "services.enabled is 7, but must be a list"),
        (
            {"dicom": {}},
            "dicom is not a setting; known are destinations, query, reception, retrieve, server",
        ),
        ({"sever": {}}, "sever is not a setting; did you mean server?"),
        ({"server": {"prt": 1}}, "server.prt is not a setting; did you mean server.port?"),
        ({"server": 1}, "server is 1, but must be a table of settings"),
        ({"server": {"port": "x"}}, "server.port is 'x', but must be a whole number"),
        ({"server": {"port": 1.5}}, "server.port is 1.5, but must be a whole number"),
        ({"server": {"require_called_ae_title": "maybe"}}, "must be true or false"),
        ({"storage": {"duplicates": "ask"}}, "is 'ask', but must be one of reject, replace,"),
        ({"storage": {"layout": "{PatientID}"}}, "storage: the storage layout '{PatientID}' "),
        ({"storage": {"further_attributes": ["Thickness"]}}, "'Thickness' cannot be a further"),
        ({"server": {"port": True}}, "server.port is True, but must be a whole number"),
        ({"server": {"maximum_length": 2**32}}, "4294967296, but must be 0 to 4294967295"),
        ({"server": {"max_associations": -1}}, "server: max_associations of the server is -1"),
        ({"server": {"idle_timeout_s": "nan"}}, "idle_timeout_s of the server is nan"),
        ({"server": {"idle_timeout_s": "inf"}}, "but must be above 0 s, and at most 2000000 s"),
        ({"server": {"send_timeout_s": 0}}, "send_timeout_s of the server is 0"),
        ({"server": {"host": ["127.0.0.1"]}}, "server.host must be text, and is list"),
        ({"server": {"ae_title": None}}, "server.ae_title must be text, and is NoneType"),
        ({"server": {"calling_ae_titles": [["CT1"]]}}, "but must be a list of texts"),
        ({"storage": {"data_dir": ""}}, "storage.data_dir is '', but must be a path"),
        ({"storage": {"settle_after_s": "nan"}}, "storage.settle_after_s is nan"),
        ({"storage": {"settle_after_s": 1e300}}, "storage.settle_after_s is 1e+300"),
        ({"storage": {"assume_character_set": "latin"}}, "'latin' is no defined term"),
        ({"storage": {"quota_bytes": -1}}, "storage.quota_bytes is -1, but must be 0 or more"),
        ({"storage": {"minimum_free_bytes": -1}}, "storage.minimum_free_bytes is -1"),
        ({"storage": {"issuer_of_patient_ids": "x" * 65}}, "storage.issuer_of_patient_ids cannot"),
        ({"storage": {"issuer_of_patient_ids": "A\\B"}}, "it has a backslash"),
        ({"storage": {"data_dir": "~no_such_user/x"}}, "storage.data_dir is '~no_such_user/x'"),
        ({"destinations": [{"ae_title": "A"}]}, "destinations[0].host, destinations[0].port must"),
        (
            {"destinations": [{"ae_title": "A", "host": "h", "port": 0}]},
            "destinations[0]: port of the destination 'A' is 0",
        ),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, object], words: str) -> None:
    """The error names part and setting, and what would be right."""
    error = PacsConfig.from_dict(values).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert words in error.message


@pytest.mark.parametrize("blank", ["", " ", ",", [""]])
def test_a_blank_list_is_refused(blank: object) -> None:
    """What a template left blank would let everybody in; an empty list is meant, and may be."""
    error = PacsConfig.from_dict({"server": {"calling_ae_titles": blank}}).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "server.calling_ae_titles is" in error.message
    config = PacsConfig.from_dict({"server": {"calling_ae_titles": []}}).unwrap()
    assert config.server.calling_ae_titles == frozenset()


def test_a_value_of_the_wrong_type_is_not_repeated_where_it_may_be_a_secret() -> None:
    """Of what has to be text the error tells the type only."""
    url = {"storage": {"database_url": ["postgresql://pacs:hunter2@host/index"]}}
    assert "hunter2" not in PacsConfig.from_dict(url).failure().message


def test_a_part_that_is_no_table_is_refused_under_overrides(tmp_path: Path) -> None:
    """An override does not hide a mistake below it."""
    (tmp_path / "pacs.toml").write_text("server = 1")
    failed = PacsConfig.layered(
        toml=tmp_path / "pacs.toml", environment={}, overrides={"server": {"port": 0}}
    )
    assert "server is 1" in failed.failure().message


@pytest.mark.parametrize("content", [None, b"[server", b"\xff\xfe"])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """A missing file, one that is not TOML, and one that is no text are configuration errors.

    Each names the file.
    """
    path = tmp_path / "pacs.toml"
    if content is not None:
        path.write_bytes(content)
    error = PacsConfig.from_toml(path).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert error.message.startswith(f"the configuration file {path} ")


def test_a_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    """A byte order mark before the text, and two characters at the end of each line."""
    path = tmp_path / "pacs.toml"
    path.write_bytes(b'\xef\xbb\xbf[server]\r\nport = 104\r\nae_title = "WARD"\r\n')
    server = PacsConfig.from_toml(path).unwrap().server
    assert (server.port, server.ae_title) == (104, "WARD")


@pytest.mark.parametrize("setting", ["data_dir", "PACS_STORAGE__DATA_DIR"])
def test_a_tilde_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """No shell has seen the setting, and nobody wants a folder of the name ``~``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    given = {setting: "~/pacs"}
    config = (
        PacsConfig.from_environment(given)
        if setting.isupper()
        else PacsConfig.from_dict({"storage": given})
    ).unwrap()
    assert config.storage.data_dir == tmp_path / "pacs"


def test_a_table_within_a_table_may_be_given_by_variables(tmp_path: Path) -> None:
    """So the password of a private key need not stand in a file."""
    (tmp_path / "pacs.toml").write_text(
        '[server.tls]\ncertificate = "c.pem"\nprivate_key = "k.pem"\npassword = "old"\n'
    )
    environment = {"PACS_SERVER__TLS__PASSWORD": "hunter2"}
    config = PacsConfig.layered(toml=tmp_path / "pacs.toml", environment=environment).unwrap()
    assert config.server.tls is not None
    assert config.server.tls.password == "hunter2"  # made up
    assert config.server.tls.certificate == Path("c.pem")
    error = PacsConfig.from_environment(environment).failure()
    assert error.message == ("server.tls.certificate, server.tls.private_key must be given")
    error = PacsConfig.from_environment({"PACS_SERVER__TLS__CERTIFICAT": "c.pem"}).failure()
    assert error.message.startswith("server.tls.certificat is not a setting; did you")


def test_a_variable_with_one_underscore_too_few_is_refused() -> None:
    """It would be ignored, and everybody could call; what else begins with the prefix is nobody's."""
    slip = {"PACS_SERVER_CALLING_AE_TITLES": "CT1"}
    error = PacsConfig.from_environment(slip).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert error.message == (
        "the environment variable PACS_SERVER_CALLING_AE_TITLES is not a setting; "
        "did you mean PACS_SERVER__CALLING_AE_TITLES?"
    )
    foreign = {
        "PACS_SERVER_PORT": "tcp://10.0.0.1:104",  # of Kubernetes, for a service pacs-server
        "PACS_SERVER_SERVICE_PORT": "104",
        "PACS_IMAGE": "registry/pacs",
    }
    assert PacsConfig.from_environment(foreign).unwrap() == PacsConfig()


def test_choices_may_be_given_as_text() -> None:
    """As in a notebook, where no type checker looks; what is none of the choices is refused."""
    storage = StorageConfig(duplicates="replace")  # type: ignore[arg-type]
    assert storage.duplicates is DuplicatePolicy.REPLACE
    assert ServerConfig(driver="asyncio").driver is Driver.ASYNCIO  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sometimes"):
        StorageConfig(durability="sometimes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://pacs:hunter2@host/index",
        "postgresql://pacs:hunter2:x@y@host:5432/index?sslmode=require",
        "postgresql://host/index?user=pacs&password=hunter2&sslmode=require",
        "postgresql://host/index?PASSWORD=hunter2",
        "postgresql://pa/cs:hunter2@host/index",
        "postgresql://pacs:a://hunter2@host/index",
        "postgresql//pacs:hunter2@host/index",
        "pacs:hunter2@host/index",
    ],
)
def test_a_password_is_not_shown(url: str) -> None:
    """The URL of the index is kept as it is, and printed without its password."""
    config = PacsConfig.from_dict({"storage": {"database_url": url}}).unwrap()
    assert config.storage.database_url == url
    assert "hunter2" not in repr(config)
    assert "host" in repr(config)


@pytest.mark.parametrize(
    "values",
    [
        {"server": [{"tls": {"password": "hunter2"}}]},
        {"server": {"tls": ["hunter2"]}},
        {"destinations": {"tls": {"password": "hunter2"}}},
    ],
)
def test_a_password_is_in_no_error(values: dict[str, Any]) -> None:
    """A table where a list belongs, or the other way, is told without what is in it."""
    error = PacsConfig.from_dict(values).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "table" in error.message
    assert "hunter2" not in str(error)


def test_storage_sop_classes_are_chosen_by_sets_keywords_and_uids() -> None:
    """Text from the environment is a list; what names no SOP class is an error that says where."""
    config = PacsConfig.from_environment(
        {"PACS_SERVICES__STORAGE_SOP_CLASSES": "CT, all images,!retired"}
    ).unwrap()
    assert config.services.storage_sop_classes == ("CT", "all images", "!retired")
    error = PacsConfig.from_dict({"services": {"storage_sop_classes": ["CTX"]}}).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert error.message.startswith("services.storage_sop_classes: 'CTX' names no storage")


def test_reception_is_configured_by_tables(tmp_path: Path) -> None:
    """Transfer syntaxes are lists, each rule is a table of its own."""
    path = tmp_path / "pacs.toml"
    path.write_text(
        """
        [reception]
        preferred_transfer_syntaxes = ["JPEGLosslessSV1", "1.2.840.10008.1.2.1"]
        refused_transfer_syntaxes = ["ExplicitVRBigEndian"]
        [[reception.rules]]
        action = "accept"
        calling_ae_titles = ["CT*"]
        [[reception.rules]]
        sop_classes = ["all", "!CT"]
        attributes = ["PatientID=TEST*"]
        status = 0xA900
        comment = "no tests"
        """
    )
    reception = PacsConfig.from_toml(path).unwrap().reception
    policy = reception.transfer_syntaxes()
    assert policy.preferred == ("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.1")
    assert "1.2.840.10008.1.2.2" not in policy.accepted()
    first, second = reception.rules
    assert (first.action, first.calling_ae_titles) == ("accept", ("CT*",))
    assert (second.action, second.refusal.status) == ("refuse", 0xA900)
    assert not second.is_about("X", "1.2.840.10008.5.1.4.1.1.2")


@pytest.mark.parametrize(
    ("reception", "words"),
    [
        ({"only_transfer_syntaxes": ["JPEG"]}, "did you mean"),
        ({"rules": [{"actoin": "accept"}]}, "reception.rules[0].actoin is not a setting"),
        ({"rules": [{"action": "maybe"}]}, "reception.rules[0].action is 'maybe'"),
        ({"rules": [{"attributes": ["Modality"]}]}, "no condition"),
        ({"rules": [{"status": 0xB000}]}, "B000H is no failure"),
        ({"rules": {"action": "accept"}}, "a list of tables"),
    ],
)
def test_what_reception_cannot_be(reception: dict[str, object], words: str) -> None:
    """It is an error of the configuration, in words."""
    error = PacsConfig.from_dict({"reception": reception}).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert words in error.message
