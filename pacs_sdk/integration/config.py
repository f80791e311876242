"""The configuration of a whole PACS: small frozen parts, from a dict, TOML or environment."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, SystemClock
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import CharacterSetPolicy
from pacs_sdk.network import ServerConfig
from pacs_sdk.services import (
    ConfiguredDestinations,
    Destination,
    QueryRules,
    ReceptionRule,
    TransferSyntaxPolicy,
    ValidationPolicy,
    chosen_sop_classes,
)
from pacs_sdk.storage import (
    ArchiveRules,
    CapacityLimits,
    Coercion,
    DuplicatePolicy,
    Durability,
    FurtherAttributes,
    IssuerOfPatientIds,
    StorageLayout,
)

__all__ = [
    "ENVIRONMENT_PREFIX",
    "PacsConfig",
    "QueryConfig",
    "ReceptionConfig",
    "RetrieveConfig",
    "ServicesConfig",
    "StorageConfig",
]

_Part = TypeVar("_Part", bound=attrs.AttrsInstance)

ENVIRONMENT_PREFIX: Final = "PACS_"
"""Environment variables are ``PACS_<PART>__<FIELD>``, for instance ``PACS_SERVER__PORT``."""

_FILE_ERRORS: Final = {OSError: ErrorCode.INVALID_CONFIGURATION}


def _check_layout(_: object, __: object, layout: str) -> None:
    StorageLayout(layout)


def _check_character_set(_: object, __: object, term: str) -> None:
    try:
        CharacterSetPolicy(assume=term)
    except ValueError as exc:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"storage.assume_character_set: {exc}",
            setting="storage.assume_character_set",
        ) from exc


def _check_further(_: object, __: object, further: tuple[str, ...]) -> None:
    FurtherAttributes.of(further)


_LONGEST_SETTLING_S: Final = 1e9
"""Thirty years: what is longer may not be a time of a calendar any more."""


def _check_settling(_: object, __: object, seconds: float) -> None:
    if not 0 < seconds <= _LONGEST_SETTLING_S:
        raise _impossible(
            "storage.settle_after_s", seconds, f"above 0 and at most {_LONGEST_SETTLING_S:.0f} s"
        )


def _without_password(database_url: str | None) -> str:
    """Write a URL as it may be logged."""
    if database_url is None:
        return "None"
    hidden = re.sub(r"(://[^/@:]*):.*@", r"\1:***@", database_url)
    return repr(re.sub(r"(password=)[^&]*", r"\1***", hidden))


@attrs.frozen
class StorageConfig:
    """Where instances are kept, and how."""

    data_dir: Path = Path("pacs-data")
    """The folder of the archive: objects and index."""
    durability: Durability = Durability.DURABLE
    """Whether an instance is flushed to the disk before it is acknowledged."""
    duplicates: DuplicatePolicy = DuplicatePolicy.REJECT
    """What happens to another instance with a UID that is stored."""
    layout: str = attrs.field(default="uid", validator=_check_layout)
    """Where new objects go below the folder: `uid`, `date`, `flat`, or a template such as
    `{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm`."""
    database_url: str | None = attrs.field(default=None, repr=_without_password)
    """Where the index is: `postgresql://user:password@host/database`, or `sqlite:///` and a
    path; without it, in `data_dir`."""
    further_attributes: tuple[str, ...] = attrs.field(default=(), validator=_check_further)
    """What the index keeps besides its own attributes: keywords, or tags such as `00180050`.
    After a change `pacs reindex` fills in what was stored before."""
    quota_bytes: int | None = None
    """What all objects together may take; no limit by default."""
    minimum_free_bytes: int = 0
    """What has to stay free on the disk of `data_dir`."""
    settle_after_s: float = attrs.field(default=60.0, validator=_check_settling)
    """A study has settled when nothing happened to it for so long."""
    issuer_of_patient_ids: str = ""
    """The Issuer of Patient ID that instances get which have a Patient ID and no issuer."""
    assume_character_set: str = attrs.field(default="", validator=_check_character_set)
    """How text is read where Specific Character Set is absent, such as `ISO_IR 100`; it is
    then stored as UTF-8."""

    def rules(self, modifying_system: str = "", clock: Clock | None = None) -> ArchiveRules:
        """Return what these settings mean to an archive.

        Args:
            modifying_system: Who puts attributes right, for the record.
            clock: Tells when.

        Raises:
            PacsException: ``INVALID_CONFIGURATION``.
        """
        changes = [IssuerOfPatientIds(self.issuer_of_patient_ids)]
        text = CharacterSetPolicy(assume=self.assume_character_set)
        coercion = Coercion(
            changes if self.issuer_of_patient_ids else (),
            text,
            modifying_system,
            clock=clock or SystemClock(),
        )
        return ArchiveRules(
            coercion=coercion if coercion.changes or self.assume_character_set else None,
            limits=CapacityLimits(self.quota_bytes, self.minimum_free_bytes),
            settle_after=timedelta(seconds=self.settle_after_s),
        )


def _tuple(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts)


def _check_sop_classes(_: object, __: object, choice: tuple[str, ...]) -> None:
    try:
        raised(chosen_sop_classes(choice))
    except PacsException as exc:
        setting = "services.storage_sop_classes"
        raise PacsException(
            exc.error.code, f"{setting}: {exc.error.message}", setting=setting
        ) from exc


@attrs.frozen
class ServicesConfig:
    """Which services the server has, and what they accept."""

    enabled: tuple[str, ...] = attrs.field(default=("all",), converter=_tuple)
    """The services of the SDK that it has: `all`, or some of `verification`, `storage`, `query`
    and `retrieve`."""
    added: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Services of your own, each as `package.module:name`: a service, or what makes one. What
    one of them performs, ours do not any more. They are imported: whoever may write this
    setting may run programs."""
    storage_sop_classes: tuple[str, ...] = attrs.field(
        default=("all",), converter=_tuple, validator=_check_sop_classes
    )
    """What is stored: sets such as `CT`, `all images` or `SR`, keywords, and UIDs; what begins
    with `!` is taken out again: `all,!retired`."""


def _tuple_of_destinations(destinations: Iterable[Destination]) -> tuple[Destination, ...]:
    return tuple(destinations)


def _check_destinations(_: object, __: object, destinations: tuple[Destination, ...]) -> None:
    ConfiguredDestinations(destinations)


def _tuple_of_rules(rules: Iterable[ReceptionRule]) -> tuple[ReceptionRule, ...]:
    return tuple(rules)


@attrs.frozen
class ReceptionConfig:
    """In which transfer syntaxes instances are taken, and which are refused."""

    preferred_transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Of several that a sender proposes for a presentation context, the first of these is
    taken; as sent without. Keywords such as `JPEGLosslessSV1`, and UIDs."""
    only_transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """No others are taken; all by default."""
    refused_transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """These are not taken."""
    rules: tuple[ReceptionRule, ...] = attrs.field(default=(), converter=_tuple_of_rules)
    """The first that is about an instance decides: in TOML, a table `[[reception.rules]]`
    each, with `action` (`refuse` or `accept`), `calling_ae_titles`, `sop_classes`,
    `attributes` (`["Modality=CT|MR"]`), `status` and `comment`."""
    before_store: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Hooks of your own that are asked about each instance after the rules, each as
    `package.module:name`. They are imported: whoever may write this setting may run programs."""
    after_store: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Hooks of your own that are called when an instance is safe, likewise."""
    iod_validation: ValidationPolicy = ValidationPolicy.OFF
    """What becomes of instances that don't conform to the IOD of their SOP class: `off` (nothing
    is validated), `report` (stored; logged, counted and published), `warn` (the sender is told
    B007H, too), `refuse` (A900H). The extra `validation` is needed."""

    def __attrs_post_init__(self) -> None:
        self.transfer_syntaxes()

    def transfer_syntaxes(self) -> TransferSyntaxPolicy:
        """Return what these settings mean to a Storage SCP.

        Raises:
            PacsException: ``INVALID_CONFIGURATION``.
        """
        return TransferSyntaxPolicy(
            self.preferred_transfer_syntaxes,
            self.only_transfer_syntaxes,
            self.refused_transfer_syntaxes,
        )


def _check_offset(_: object, __: object, text: str) -> None:
    QueryRules(utc_offset=text)


@attrs.frozen
class RetrieveConfig:
    """How strictly C-GET and C-MOVE take their clients."""

    always_relational: bool = True
    """Whether a retrieval of a series or image may leave out the study although the client has
    not negotiated relational retrieval; the standard would refuse that."""


@attrs.frozen
class QueryConfig:
    """How strictly C-FIND takes its clients."""

    always_relational: bool = True
    """Whether a query of a series or image may leave out the study although the client has
    not negotiated relational queries; the standard would refuse that."""
    check_values: bool = True
    """Whether keys that break the rules of their value representation are refused."""
    utc_offset: str = attrs.field(default="", validator=_check_offset)
    """The timezone of stored dates and times that don't say theirs, such as `+0100`; where it is
    set, clients may negotiate that queries are adjusted to another one."""


@attrs.frozen
class PacsConfig:
    """Everything that can be configured."""

    server: ServerConfig = attrs.field(factory=ServerConfig)
    """How the DICOM server listens and what it allows."""
    storage: StorageConfig = attrs.field(factory=StorageConfig)
    """Where instances are kept."""
    services: ServicesConfig = attrs.field(factory=ServicesConfig)
    """Which services the server has."""
    destinations: tuple[Destination, ...] = attrs.field(
        default=(), converter=_tuple_of_destinations, validator=_check_destinations
    )
    """Whom a C-MOVE may send to: in TOML, a table `[[destinations]]` each."""
    query: QueryConfig = attrs.field(factory=QueryConfig)
    """What clients may ask."""
    retrieve: RetrieveConfig = attrs.field(factory=RetrieveConfig)
    """What clients may fetch."""
    reception: ReceptionConfig = attrs.field(factory=ReceptionConfig)
    """What is taken from senders."""

    @classmethod
    @edge()
    def from_dict(cls, values: Mapping[str, Any]) -> PacsConfig:
        """Build a configuration from nested mappings, one a part.

        Args:
            values: ``{"server": {"port": 104}, "storage": {"data_dir": "/srv/pacs"}}``.
                Text is converted to the field's type. What is left out has its default.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_CONFIGURATION`` naming the part
            and field that is unknown or has an impossible value.
        """
        return _built(cls, values, "")

    @classmethod
    @edge(_FILE_ERRORS)
    def from_toml(cls, path: Path | str) -> PacsConfig:
        """Read a TOML file with a table for each part; failures as :meth:`from_dict`."""
        return _built(cls, _toml_values(path), "")

    @classmethod
    @edge()
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> PacsConfig:
        """Read ``PACS_<PART>__<FIELD>`` variables; failures as :meth:`from_dict`.

        Args:
            environment: The variables; the process's own by default. Others than those
                with the prefix and a double underscore are ignored.
        """
        return _built(cls, _environment_values(environment), "")

    @classmethod
    @edge(_FILE_ERRORS)
    def layered(
        cls,
        *,
        toml: Path | str | None = None,
        environment: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> PacsConfig:
        """Combine all sources, setting by setting; later ones win.

        Args:
            toml: First over the defaults: a TOML file, or none.
            environment: Then the environment variables; the process's own by default.
            overrides: Last what a program was told, as for :meth:`from_dict`.

        Returns:
            As :meth:`from_dict`.
        """
        values: dict[str, Any] = {} if toml is None else _toml_values(toml)
        for layer in (_environment_values(environment), overrides or {}):
            values = _merged(values, layer)
        return _built(cls, values, "")


def _toml_values(path: Path | str) -> dict[str, Any]:
    with Path(path).open("rb") as file:
        try:
            return tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                f"the configuration file {path} is not TOML: {exc}",
                path=str(path),
            ) from exc


def _environment_values(environment: Mapping[str, str] | None) -> dict[str, dict[str, str]]:
    values: dict[str, dict[str, str]] = {}
    for name, text in (os.environ if environment is None else environment).items():
        part, separator, field = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if name.startswith(ENVIRONMENT_PREFIX) and separator:
            values.setdefault(part, {})[field] = text
    return values


def _merged(values: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over others; tables are joined, anything else is replaced."""
    merged = dict(values)
    for name, value in layer.items():
        below = merged.get(name)
        if not isinstance(value, Mapping) or below is None:
            merged[name] = value
        elif isinstance(below, Mapping):
            merged[name] = _merged(below, value)
        else:
            raise _impossible(name, below, "a table of settings")
    return merged


def _built(kind: type[_Part], values: Mapping[str, Any], where: str) -> _Part:
    """Build an attrs value from a mapping, its parts recursively."""
    types = get_type_hints(kind)
    names = {field.name for field in attrs.fields(kind) if field.init}
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{where}{name}"
        if name not in names:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                f"{path} is not a setting; known are {', '.join(sorted(names))}",
                setting=path,
            )
        kind_of_part = _without_none(types[name])
        if attrs.has(kind_of_part):
            if not isinstance(value, Mapping):
                raise _impossible(path, value, "a table of settings")
            arguments[name] = _built(kind_of_part, value, f"{path}.")
        elif get_origin(kind_of_part) is tuple and attrs.has(get_args(kind_of_part)[0]):
            arguments[name] = _built_each(get_args(kind_of_part)[0], value, path)
        else:
            arguments[name] = _converted(kind_of_part, value, path)
    try:
        return kind(**arguments)
    except TypeError:  # something that has no default was not given
        needed = {one.name for one in attrs.fields(kind) if one.default is attrs.NOTHING}
        missing = ", ".join(f"{where}{name}" for name in sorted(needed - set(arguments)))
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION, f"{missing} must be given", setting=where.rstrip(".")
        ) from None


def _built_each(kind: type[_Part], values: Any, path: str) -> list[_Part]:
    """Build a value of each of several tables."""
    if not isinstance(values, list | tuple) or not all(isinstance(one, Mapping) for one in values):
        raise _impossible(path, values, "a list of tables")
    return [_built(kind, one, f"{path}[{number}].") for number, one in enumerate(values)]


def _without_none(kind: Any) -> Any:
    """Take the type of a setting that may be left out."""
    kinds = [one for one in get_args(kind) if one is not type(None)]
    return kinds[0] if get_origin(kind) in (Union, UnionType) and len(kinds) == 1 else kind


_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _converted(kind: Any, value: Any, path: str) -> Any:
    if kind is bool:
        known = _BOOLEANS.get(str(value).lower())
        if known is None:
            raise _impossible(path, value, "true or false")
        return known
    if get_origin(kind) in (frozenset, tuple):
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple | set | frozenset):
            raise _impossible(path, value, "a list")
        if not all(isinstance(item, str) for item in items):
            raise _impossible(path, value, "a list of texts")
        chosen = [item.strip() for item in items if item.strip()]
        if items and not chosen:  # as who may call, what a template left blank would be everybody
            raise _impossible(path, value, "a list with something in it")
        return get_origin(kind)(map(get_args(kind)[0], chosen))
    if kind is str and not isinstance(value, str):
        raise PacsException(  # without the value, which may be a password
            ErrorCode.INVALID_CONFIGURATION,
            f"{path} must be text, and is {type(value).__name__}",
            setting=path,
        )
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        if kind is Path and value == "":  # it would be the folder where the program is started
            raise ValueError
        return kind(value)
    except (TypeError, ValueError):
        raise _impossible(path, value, getattr(kind, "__name__", str(kind))) from None


def _impossible(path: str, value: object, wanted: str) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_CONFIGURATION, f"{path} is {value!r}, but must be {wanted}", setting=path
    )
