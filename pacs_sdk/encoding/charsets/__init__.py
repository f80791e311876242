"""Specific Character Set: text to bytes and back (PS3.3 C.12.1.1.2, PS3.5 6.1).

Text is never a reason to lose an instance: unless a policy asks for errors, a wrong
character set or undecodable bytes give replacement characters.
"""

from pacs_sdk.encoding.charsets.decode import decode_text
from pacs_sdk.encoding.charsets.encode import charset_for, encode_text
from pacs_sdk.encoding.charsets.policy import (
    DEFAULT_CHARACTER_SETS,
    DEFAULT_POLICY,
    CharacterSetPolicy,
    CharacterSets,
    Undecodable,
    character_sets,
    effective_character_sets,
)
from pacs_sdk.encoding.charsets.pydicom_names import pydicom_encodings
from pacs_sdk.encoding.charsets.terms import CHARACTER_SETS, CharacterSet

__all__ = [
    "CHARACTER_SETS",
    "DEFAULT_CHARACTER_SETS",
    "DEFAULT_POLICY",
    "CharacterSet",
    "CharacterSetPolicy",
    "CharacterSets",
    "Undecodable",
    "character_sets",
    "charset_for",
    "decode_text",
    "effective_character_sets",
    "encode_text",
    "pydicom_encodings",
]
