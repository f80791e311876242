"""Rules that say from whom, and of what, instances are taken; for a configuration."""

from __future__ import annotations

import enum
import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import Final, Self

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.network.dimse import Status
from pacs_sdk.network.peer_rules import AeTitlePattern, title_patterns
from pacs_sdk.services.receiving.verdicts import IncomingInstance, Refuse
from pacs_sdk.services.sop_classes import chosen_sop_classes

__all__ = ["AttributeCondition", "ReceptionRule", "ReceptionRules", "RuleAction"]

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


def _texts(texts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise _wrong(f"give a list, not one text: {texts[:80]!r}")
    return tuple(texts)


@attrs.frozen
class ReceptionRule:
    """One rule. It is about the instances that fulfil everything that is given.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for what is no AE title, SOP class, condition
            or status of a failure.
    """

    action: RuleAction = attrs.field(default=RuleAction.REFUSE, converter=RuleAction)
    """What is done with them."""
    calling_ae_titles: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    """Who sends, with the wildcards ``*`` and ``?``; anybody if there are none."""
    sop_classes: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    """What is sent: sets such as ``CT`` or ``all images``, keywords and UIDs, without those
    after an exclamation mark; anything if there are none."""
    attributes: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    """What attributes have to be, all of them: ``Modality=CT|MR``, ``PatientID!=TEST*``."""
    status: int = int(Status.NOT_AUTHORISED)
    """What the sender is told if it is refused."""
    comment: str = "refused by a rule of this system"
    """Why, in at most 64 characters."""
    conditions: tuple[AttributeCondition, ...] = attrs.field(init=False, eq=False, repr=False)
    """What ``attributes`` mean."""
    refusal: Refuse = attrs.field(init=False, eq=False, repr=False)
    """What is said to a refused instance."""
    _titles: tuple[AeTitlePattern, ...] = attrs.field(init=False, eq=False, repr=False)
    _uids: frozenset[str] = attrs.field(init=False, eq=False, repr=False)

    @conditions.default
    def _parsed(self) -> tuple[AttributeCondition, ...]:
        return tuple(map(AttributeCondition, self.attributes))

    @refusal.default
    def _checked(self) -> Refuse:
        elements = tuple(condition.tag for condition in self.conditions)
        try:
            return Refuse(self.status, self.comment, offending_elements=elements)
        except PacsException as exc:
            raise _wrong(exc.error.message) from exc

    @_titles.default
    def _patterns(self) -> tuple[AeTitlePattern, ...]:
        return title_patterns(self.calling_ae_titles)

    @_uids.default
    def _chosen(self) -> frozenset[str]:
        names = self.sop_classes
        return frozenset(raised(chosen_sop_classes(names))) if names else frozenset()

    def is_about(self, calling_ae_title: str, sop_class_uid: str) -> bool:
        """Tell whether sender and SOP class are those of the rule."""
        return (not self._uids or sop_class_uid in self._uids) and (
            not self._titles or any(one.matches(calling_ae_title) for one in self._titles)
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
        return frozenset(condition.tag for rule in self.rules for condition in rule.conditions) | {
            int(DicomTag.of("SpecificCharacterSet"))
        }

    @classmethod
    def of(cls, *rules: ReceptionRule) -> Self:
        """Make rules of single ones."""
        return cls(rules)

    @property
    def statuses(self) -> frozenset[int]:
        """What senders may be told, for a conformance statement."""
        return frozenset(
            rule.refusal.status for rule in self.rules if rule.action is RuleAction.REFUSE
        )

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
            if rule.conditions:
                header = header or raised(instance.header(self._tags))
                if not all(one.holds(header.texts(one.tag)) for one in rule.conditions):
                    continue
            return rule.refusal if rule.action is RuleAction.REFUSE else None
        return None


def _compiled(pattern: str) -> re.Pattern[str]:
    # In fnmatch, a bracket begins a set of characters; here it is one.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), re.IGNORECASE)


def _wrong(message: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_CONFIGURATION, message)
