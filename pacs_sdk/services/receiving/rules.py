"""Rules that say from whom, and of what, instances are taken; for a configuration."""

from __future__ import annotations

import enum
import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import Final, Self, TypeVar

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.network.dimse import Status
from pacs_sdk.network.peer_rules import AeTitlePattern, title_patterns
from pacs_sdk.services.receiving.verdicts import IncomingInstance, Refuse
from pacs_sdk.services.sop_classes import chosen_sop_classes

__all__ = ["AttributeCondition", "ReceptionRule", "ReceptionRules", "RuleAction"]

_T = TypeVar("_T")

_CONDITION: Final = re.compile(
    r"\s*(?P<name>[\w,()]+?)\s*(?P<operator>!?=)(?P<values>.*)", re.DOTALL
)


class RuleAction(enum.StrEnum):
    """What a rule does with the instances that it is about."""

    ACCEPT = "accept"
    """They are stored; later rules are not looked at."""
    REFUSE = "refuse"
    """They are refused."""


@attrs.frozen
class AttributeCondition:
    """What an attribute has to be: ``Modality=CT|MR``, ``PatientID!=TEST*``.

    Between ``|`` stand patterns, in which ``*`` is any text and ``?`` any one character; upper
    and lower case are the same. One of an attribute's values has to match one of them, or none
    has to with ``!=``. An attribute that is absent or empty is an empty text.
    """

    text: str
    """As it is written."""
    tag: int = attrs.field(init=False)
    """The attribute."""
    is_negated: bool = attrs.field(init=False)
    """Whether it is ``!=``."""
    _patterns: tuple[re.Pattern[str], ...] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        found = _CONDITION.fullmatch(self.text)
        if found is None:
            raise _wrong(
                f"{self.text[:80]!r} is no condition; write Keyword=pattern|pattern or Keyword!=…"
            )
        try:
            tag = int(DicomTag.of(found["name"]))
        except PacsException as exc:
            raise _wrong(f"{self.text[:80]!r}: {exc.error.message}") from exc
        patterns = tuple(_compiled(text.strip()) for text in found["values"].split("|"))
        object.__setattr__(self, "tag", tag)
        object.__setattr__(self, "is_negated", found["operator"] == "!=")
        object.__setattr__(self, "_patterns", patterns)

    def holds(self, values: Sequence[str]) -> bool:
        """Tell whether the values of the attribute fulfil it."""
        found = any(
            pattern.fullmatch(value) for value in values or ("",) for pattern in self._patterns
        )
        return found is not self.is_negated


def _conditions(texts: Iterable[str | AttributeCondition]) -> tuple[AttributeCondition, ...]:
    return tuple(
        text if isinstance(text, AttributeCondition) else AttributeCondition(text)
        for text in _list(texts)
    )


def _uids(choice: Iterable[str]) -> frozenset[str]:
    names = _list(choice)
    return frozenset(raised(chosen_sop_classes(names))) if names else frozenset()


def _list(texts: Iterable[_T]) -> tuple[_T, ...]:
    if isinstance(texts, str):
        raise _wrong(f"give a list, not one text: {texts[:80]!r}")
    return tuple(texts)


@attrs.frozen
class ReceptionRule:
    """One rule. It is about the instances that fulfil everything that is given.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for what is no AE title, SOP class or
            condition, ``INVALID_ARGUMENT`` for a status that is no failure.
    """

    action: RuleAction = attrs.field(default=RuleAction.REFUSE, converter=RuleAction)
    """What is done with them."""
    calling_ae_titles: tuple[AeTitlePattern, ...] = attrs.field(
        default=(), converter=title_patterns
    )
    """Who sends, with wildcards; anybody if there are none."""
    sop_classes: frozenset[str] = attrs.field(default=(), converter=_uids)
    """What is sent: sets such as ``CT`` or ``all images``, keywords and UIDs; anything if there
    are none."""
    attributes: tuple[AttributeCondition, ...] = attrs.field(default=(), converter=_conditions)
    """What attributes have to be, such as ``Modality=CT|MR``; all of them."""
    status: int = int(Status.NOT_AUTHORISED)
    """What the sender is told if it is refused."""
    comment: str = "refused by a rule of this system"
    """Why, in at most 64 characters."""

    def __attrs_post_init__(self) -> None:
        self.refusal()

    def refusal(self) -> Refuse:
        """Return what is said to a refused instance."""
        return Refuse(
            self.status,
            self.comment,
            offending_elements=tuple(condition.tag for condition in self.attributes),
        )

    def is_about(self, calling_ae_title: str, sop_class_uid: str) -> bool:
        """Tell whether sender and SOP class are those of the rule."""
        return (not self.sop_classes or sop_class_uid in self.sop_classes) and (
            not self.calling_ae_titles
            or any(pattern.matches(calling_ae_title) for pattern in self.calling_ae_titles)
        )


@attrs.frozen
class ReceptionRules:
    """Rules, of which the first that is about an instance decides; a hook before storing.

    What none of them is about is accepted. To turn that round, the last is ``ReceptionRule()``,
    which refuses everything.
    """

    rules: tuple[ReceptionRule, ...]
    """The rules, in their order."""
    _tags: frozenset[int] = attrs.field(init=False, eq=False, repr=False)

    @_tags.default
    def _all_tags(self) -> frozenset[int]:
        return frozenset(condition.tag for rule in self.rules for condition in rule.attributes) | {
            int(DicomTag.of("SpecificCharacterSet"))
        }

    @classmethod
    def of(cls, *rules: ReceptionRule) -> Self:
        """Make rules of single ones."""
        return cls(rules)

    def __call__(self, incoming: IncomingInstance) -> Refuse | None:
        """Decide on an instance.

        Raises:
            PacsException: Its attributes are needed and cannot be read.
        """
        instance = incoming.instance
        calling_ae_title = incoming.association.calling_ae_title
        header = None
        for rule in self.rules:
            if not rule.is_about(calling_ae_title, instance.sop_class_uid):
                continue
            if rule.attributes:
                header = header or raised(instance.header(self._tags))
                if not all(one.holds(header.texts(one.tag)) for one in rule.attributes):
                    continue
            return rule.refusal() if rule.action is RuleAction.REFUSE else None
        return None


def _compiled(pattern: str) -> re.Pattern[str]:
    # In fnmatch, a bracket begins a set of characters; here it is one.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), re.IGNORECASE)


def _wrong(message: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_CONFIGURATION, message)
