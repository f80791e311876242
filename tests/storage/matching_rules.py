"""Matching as PS3.4 C.2.2.2 has it, as tables: what is stored, what is asked, what is found.

Every row is a rule. The rows are asked of the index itself and, by C-FIND, of a server.
"""

from __future__ import annotations

import struct
from typing import Any

from pacs_sdk.core.tags import DicomTag
from tests.storage.entries import CT, MR

__all__ = ["ALL", "LEVELS", "OPTIONS", "RULES", "SECOND_SERIES", "STUDIES"]


def item(*, known_length: bool, **texts: str) -> bytes:
    """Encode an item (PS3.5 7.5) in Explicit VR Little Endian: tag, VR, length, value."""
    content = b""
    for keyword, text in sorted(texts.items(), key=lambda one: int(DicomTag.of(one[0]))):
        tag, value = DicomTag.of(keyword), text.encode()
        value += b" " * (len(value) % 2)
        content += struct.pack("<HH", int(tag) >> 16, int(tag) & 0xFFFF)
        content += tag.dictionary_vr.encode() + struct.pack("<H", len(value)) + value
    if known_length:
        return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(content)) + content
    return b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0" + bytes(4)


REQUESTS = item(
    known_length=True,
    ScheduledProcedureStepID="S1",
    RequestedProcedureID="R1",
    AccessionNumber="A-9",
    RequestedProcedureDescription="Schädel",
    StudyInstanceUID="1.3",
) + item(known_length=False, ScheduledProcedureStepID="S2", RequestedProcedureID="R2")

# Studies 1 to 6, told apart by the last component of their UIDs. Where nothing is said,
# the attribute is absent.
STUDIES: list[dict[str, str | int | bytes]] = [
    {
        "StudyInstanceUID": "1.1",
        "SeriesInstanceUID": "1.1.1",
        "SOPInstanceUID": "1.1.1.1",
        "PatientID": "P1",
        "PatientName": "Doe^John",
        "PatientBirthDate": "19700101",
        "PatientSex": "M",
        "PatientWeight": "70.0",
        "StudyDate": "20240101",
        "StudyTime": "10",
        "AccessionNumber": "A_1",
        "StudyDescription": "Head",
        "ReferringPhysicianName": "House^Gregory",
        "Modality": "CT",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        "Rows": 512,
    },
    {
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.1",
        "SOPInstanceUID": "1.2.1.1",
        "PatientID": "P1",
        "IssuerOfPatientID": "OTHER",
        "PatientName": "DOE^JANE^^^",
        "StudyDate": "20240115",
        "StudyTime": "100000.000",
        "AccessionNumber": "A%1",
        "StudyDescription": "head 100%",
        "ReferringPhysicianName": "Weiß^Michael",
        "PatientWeight": "7",
        "Modality": "CT",
        "SeriesNumber": "002",
        "InstanceNumber": "2",
        "Rows": 256,
    },
    {
        "StudyInstanceUID": "1.3",
        "SeriesInstanceUID": "1.3.1",
        "SOPInstanceUID": "1.3.1.1",
        "PatientID": "P3",
        "PatientName": "Müller^Jörg",
        "StudyDate": "20240131",
        "StudyTime": "103015.5",
        "AccessionNumber": "AX1",
        "StudyDescription": "he?d*[x]/\\",
        "Modality": "MR",
        "SOPClassUID": MR,
        "SeriesNumber": "3",
        "PatientComments": "a\\b",
        "ReferringPhysicianName": "Sæþór^Ésa",
        "OtherPatientIDs": "B-2 \\C_3",
        "OtherPatientNames": "Nobody\\Tanaka^Taro=田中^太郎",
        "OperatorsName": "Bohr^Niels\\Curie^Marie",
        "AdmittingDiagnosesDescription": "cough\\fever",
        "RequestAttributesSequence": REQUESTS,
    },
    {
        "StudyInstanceUID": "1.4",
        "SeriesInstanceUID": "1.4.1",
        "SOPInstanceUID": "1.4.1.1",
        "PatientID": "P4",
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "StudyDate": "20240201",
        "StudyTime": "235959",
        "Modality": "PT",
        "AdmittingDiagnosesDescription": "cough",
        "ReferringPhysicianName": "Weiss^Michael",
        "OperatorsName": "Roe^Richard\\Groß^Æsa",
    },
    {
        "StudyInstanceUID": "1.5",
        "SeriesInstanceUID": "1.5.1",
        "SOPInstanceUID": "1.5.1.1",
        "PatientID": "",
        "StudyDate": "not a date",
        "StudyTime": "noon",
    },
    {
        "StudyInstanceUID": "1.6",
        "SeriesInstanceUID": "1.6.1",
        "SOPInstanceUID": "1.6.1.1",
        "PatientID": "P6",
        "PatientName": "Doe",
        "Modality": "CT",
    },
]

ALL = "123456"

SECOND_SERIES = STUDIES[5] | {
    "SeriesInstanceUID": "1.6.2",
    "SOPInstanceUID": "1.6.2.1",
    "SOPClassUID": MR,
    "Modality": "MR",
}
"""Study 6 has a second series, an MR, with one instance."""

RULES: list[tuple[str, dict[str, Any], str]] = [
    # -- single value matching (C.2.2.2.1)
    ("one value", {"StudyDescription": "Head"}, "1"),
    ("case counts", {"StudyDescription": "head"}, ""),
    ("spaces around don't count", {"AccessionNumber": " AX1 "}, "3"),
    ("a key is no substring", {"StudyDescription": "Hea"}, ""),
    ("an absent attribute has no value", {"StudyDescription": "x"}, ""),
    ("CS", {"PatientSex": "M"}, "1"),
    ("names: case doesn't count", {"PatientName": "doe^john"}, "1"),
    ("names: nor beyond ASCII", {"PatientName": "MÜLLER^JÖRG"}, "3"),
    ("names: nor composition", {"PatientName": "Mu\u0308ller^Jo\u0308rg"}, "3"),
    ("names: nor accents", {"PatientName": "muller^jorg"}, "3"),
    ("names: nor accents of the key", {"PatientName": "Dóé^Jöhn"}, "1"),
    ("names: nor delimiters at the end of what is stored", {"PatientName": "Doe^Jane"}, "2"),
    ("names: nor at the end of the key", {"PatientName": "Doe^John^^"}, "1"),
    ("names: as a whole", {"PatientName": "Doe"}, "6"),
    ("names: the alphabetic group", {"PatientName": "Yamada^Tarou"}, "4"),
    ("names: the ideographic group", {"PatientName": "山田^太郎"}, "4"),
    ("names: the phonetic group", {"PatientName": "やまだ^たろう"}, "4"),
    ("names: several groups", {"PatientName": "yamada^tarou=山田^太郎"}, "4"),
    ("names: several groups, one wrong", {"PatientName": "yamada^tarou=田中"}, ""),
    ("names: one group by its place", {"PatientName": "=山田^太郎"}, "4"),
    ("names: not in another's place", {"PatientName": "=yamada^tarou"}, ""),
    ("names: the referring physician's too", {"ReferringPhysicianName": "HOUSE^*"}, "1"),
    ("a date", {"StudyDate": "20240101"}, "1"),
    ("a date as ACR-NEMA wrote it", {"StudyDate": "2024.01.01"}, "1"),
    ("a date of the patient", {"PatientBirthDate": "19700101"}, "1"),
    ("a time is a moment: 10", {"StudyTime": "10"}, "12"),
    ("a time is a moment: 1000", {"StudyTime": "1000"}, "12"),
    ("a time is a moment: 10:00:00.0", {"StudyTime": "10:00:00.0"}, "12"),
    ("a time with a fraction", {"StudyTime": "103015.500"}, "3"),
    ("a time that is less precise is another", {"StudyTime": "1030"}, ""),
    ("a decimal is a number", {"PatientWeight": "70"}, "1"),
    ("a decimal, however written", {"PatientWeight": "+7.00e1\\9"}, "1"),
    ("LT: a backslash is a character", {"PatientComments": "a\\b"}, "3"),
    ("LT: what is between is no value", {"PatientComments": "b"}, ""),
    ("LT: with wild cards, too", {"PatientComments": "?\\*"}, "3"),
    # -- list of UID matching (C.2.2.2.2)
    ("one UID", {"StudyInstanceUID": "1.3"}, "3"),
    ("a list of UIDs", {"StudyInstanceUID": "1.3\\1.1\\9.9"}, "13"),
    ("a list in Python", {"StudyInstanceUID": ["1.3", "1.1"]}, "13"),
    ("no wildcard in UIDs: the star is a character", {"StudyInstanceUID": "1.*"}, ""),
    ("a lone star is no universal match for UIDs", {"StudyInstanceUID": "*"}, ""),
    # -- universal matching (C.2.2.2.3)
    ("nothing asked", {}, ALL),
    ("an empty key", {"StudyDescription": ""}, ALL),
    ("a space", {"StudyDescription": " "}, ALL),
    ("an empty UID", {"StudyInstanceUID": ""}, ALL),
    ("an empty date", {"StudyDate": ""}, ALL),
    ("a star alone finds what is empty, too", {"StudyDescription": "*"}, ALL),
    ("a star alone for a name", {"PatientName": "*"}, ALL),
    # -- wild card matching (C.2.2.2.4)
    ("star at the end", {"StudyDescription": "He*"}, "1"),
    ("star at the beginning", {"StudyDescription": "*ad"}, "1"),
    ("star on both sides", {"StudyDescription": "*ea*"}, "12"),
    ("star in the middle", {"StudyDescription": "H*d"}, "1"),
    ("star for nothing", {"StudyDescription": "Head*"}, "1"),
    ("question mark for one", {"StudyDescription": "H?ad"}, "1"),
    ("question mark not for none", {"StudyDescription": "Head?"}, ""),
    ("question mark for one beyond ASCII", {"PatientName": "M?ller^J?rg"}, "3"),
    ("question mark and star", {"StudyDescription": "?ea*"}, "12"),
    ("question mark not for what is empty", {"StudyDescription": "?*"}, "123"),
    ("case counts with wildcards, too", {"StudyDescription": "h*"}, "23"),
    ("an underscore is a character", {"AccessionNumber": "A_*"}, "1"),
    ("a per cent sign is a character", {"AccessionNumber": "A%*"}, "2"),
    ("a per cent sign at the end", {"StudyDescription": "*100%"}, "2"),
    ("brackets and slashes are characters", {"StudyDescription": "*[x]/*"}, "3"),
    ("names: wildcards", {"PatientName": "doe*"}, "126"),
    ("names: wildcards by component", {"PatientName": "doe^j*"}, "12"),
    ("names: open components at the end may be missing", {"PatientName": "doe^*"}, "126"),
    ("names: several of them", {"PatientName": "D?e^*^*"}, "126"),
    ("names: none may be missing before others", {"PatientName": "doe^*^*^dr"}, ""),
    ("names: a star and an open component", {"PatientName": "*^*"}, "12346"),
    ("names: open components of a group", {"PatientName": "doe^*="}, "126"),
    ("names: not a component that has to have a letter", {"PatientName": "doe^?*"}, "12"),
    ("names: in any group", {"PatientName": "山*"}, "4"),
    ("names: group by group", {"PatientName": "Y*=山*=や*"}, "4"),
    ("names: a star leaves a group open", {"PatientName": "*=山*"}, "4"),
    ("names: a question mark for a letter that is two", {"ReferringPhysicianName": "wei?^*"}, "2"),
    ("names: and for another", {"ReferringPhysicianName": "Wei?^Micha?l"}, "2"),
    ("names: for two such letters", {"ReferringPhysicianName": "s??or^?sa"}, "3"),
    ("names: not for two others", {"ReferringPhysicianName": "weiß^m?hael"}, ""),
    ("names: letter and question mark", {"ReferringPhysicianName": "weiß^?ichael"}, "24"),
    ("names: a full-width star is a character", {"PatientName": "＊"}, ""),
    ("names: a full-width question mark, too", {"PatientName": "Doe^Joh？*"}, ""),
    ("CS", {"PatientSex": "?"}, "1"),
    # -- range matching (C.2.2.2.5)
    ("dates: from to, ends included", {"StudyDate": "20240101-20240131"}, "123"),
    ("dates: up to", {"StudyDate": "-20240115"}, "12"),
    ("dates: from", {"StudyDate": "20240131-"}, "34"),
    ("dates: one day", {"StudyDate": "20240115-20240115"}, "2"),
    ("dates: between two", {"StudyDate": "20240102-20240114"}, ""),
    ("dates: a day that doesn't exist is a limit all the same", {"StudyDate": "-20240231"}, "1234"),
    ("dates: what is no date is in no range", {"StudyDate": "00010101-"}, "1234"),
    ("times: from to, ends included", {"StudyTime": "1000-1030"}, "123"),
    ("times: an end covers what it doesn't say", {"StudyTime": "1030-1030"}, "3"),
    ("times: an end says seconds", {"StudyTime": "1000-103014"}, "12"),
    ("times: up to", {"StudyTime": "-10"}, "123"),
    ("times: from", {"StudyTime": "103015.5-"}, "34"),
    ("times: the last second of the day", {"StudyTime": "235959-"}, "4"),
    ("times: what is no time is in no range", {"StudyTime": "00-"}, "1234"),
    ("dates and times: each by itself", {"StudyDate": "20240101-20240131", "StudyTime": "1030-12"}, "3"),
    # -- single values of attributes that have several (C.2.2.3)
    ("one of several values that are stored", {"OtherPatientIDs": "B-2"}, "3"),
    ("not a part of one", {"OtherPatientIDs": "B"}, ""),
    ("nor two of them as one", {"AdmittingDiagnosesDescription": "cough\\fever"}, "34"),
    ("wildcards in one of several", {"OtherPatientIDs": "B*"}, "3"),
    ("a star ends with the value", {"OtherPatientIDs": "B*3"}, ""),
    ("a question mark is no end of a value", {"OtherPatientIDs": "B-2?C_3"}, ""),
    ("names: one of several that are stored", {"OperatorsName": "curie^marie"}, "3"),
    ("names: wildcards in one of several", {"OperatorsName": "*rie"}, "3"),
    ("names: an open component in one of several", {"OperatorsName": "bohr^niels^*"}, "3"),
    ("names: a star ends with the name", {"OperatorsName": "bohr*marie"}, ""),
    ("names: a letter that is two in one of several", {"OperatorsName": "gro?^?sa"}, "4"),
    ("names: an ideographic group of several", {"OtherPatientNames": "田中^太郎"}, "3"),
    ("names: groups of several", {"OtherPatientNames": "tanaka*=田中*"}, "3"),
    # -- sequence matching (C.2.2.2.6)
    ("an attribute of an item", {"RequestAttributesSequence": {"ScheduledProcedureStepID": "S2"}}, "3"),
    ("all in one item", {"RequestAttributesSequence": {"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "R1"}}, "3"),
    ("not in two items", {"RequestAttributesSequence": {"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "R2"}}, ""),
    ("wildcards in an item", {"RequestAttributesSequence": {"RequestedProcedureDescription": "Sch*"}}, "3"),
    ("a list of UIDs in an item", {"RequestAttributesSequence": {"StudyInstanceUID": "1.3\\1.9"}}, "3"),
    ("universal matching in an item", {"RequestAttributesSequence": {"ScheduledProcedureStepID": ""}}, ALL),
    ("a path, as QIDO-RS has it", {"RequestAttributesSequence.RequestedProcedureID": "R2"}, "3"),
    ("an item and another key", {"RequestAttributesSequence.RequestedProcedureID": "R2", "Modality": "CT"}, ""),
    # -- several keys, several values
    ("keys are all to be met", {"PatientName": "doe*", "StudyDescription": "*100*"}, "2"),
    ("one of several values", {"AccessionNumber": "AX1\\A_1"}, "13"),
    ("one of several values, with wildcards", {"StudyDescription": "Head\\*100*"}, "12"),
    ("one of several dates", {"StudyDate": "20240101\\20240131-"}, "134"),
    # -- levels
    ("a key of the level above", {"PatientID": "P1"}, "12"),
    ("the issuer tells patients apart", {"PatientID": "P1", "IssuerOfPatientID": "OTHER"}, "2"),
    ("a key of the level below: some series has it", {"Modality": "CT"}, "126"),
    ("two levels below", {"Rows": "256"}, "2"),
    ("what is below has all keys itself", {"Modality": "MR", "SeriesInstanceUID": "1.6.1"}, ""),
    ("numbers, however written", {"SeriesNumber": "0002"}, "2"),
    ("numbers, however stored", {"SeriesNumber": "2"}, "2"),
    # -- attributes of what is in a study
    ("Modalities in Study", {"ModalitiesInStudy": "CT"}, "126"),
    ("Modalities in Study: any of several series", {"ModalitiesInStudy": "MR"}, "36"),
    ("Modalities in Study: one of", {"ModalitiesInStudy": "MR\\PT"}, "346"),
    ("Modalities in Study: wildcards", {"ModalitiesInStudy": "?T"}, "1246"),
    ("Modalities in Study with a key of a series", {"ModalitiesInStudy": "MR", "Modality": "CT"}, "6"),
    ("SOP Classes in Study", {"SOPClassesInStudy": MR}, "36"),
    ("SOP Classes in Study: one of", {"SOPClassesInStudy": f"{MR}\\{CT}"}, ALL),
]  # fmt: skip

OPTIONS: list[tuple[str, dict[str, bool], dict[str, Any], str]] = [
    # -- fuzzy matching of names (C.2.2.2.1.1): how is left open
    ("fuzzy: a word of any component", {"fuzzy": True}, {"PatientName": "john"}, "1"),
    ("fuzzy: the beginning of a word", {"fuzzy": True}, {"PatientName": "jo"}, "13"),
    ("fuzzy: not what is inside a word", {"fuzzy": True}, {"PatientName": "ohn"}, ""),
    ("fuzzy: all words, in any order", {"fuzzy": True}, {"PatientName": "jane doe"}, "2"),
    ("fuzzy: words that sound alike", {"fuzzy": True}, {"PatientName": "Mueler"}, "3"),
    ("fuzzy: words that don't", {"fuzzy": True}, {"PatientName": "Maler^Jane"}, ""),
    ("fuzzy: of any group", {"fuzzy": True}, {"PatientName": "太郎"}, "4"),
    ("fuzzy: wildcards begin a word", {"fuzzy": True}, {"PatientName": "d?e*"}, "126"),
    ("fuzzy: a star alone", {"fuzzy": True}, {"PatientName": "*"}, ALL),
    ("fuzzy: a per cent sign is a character", {"fuzzy": True}, {"PatientName": "d%"}, ""),
    ("fuzzy: one of several names", {"fuzzy": True}, {"OperatorsName": "mar"}, "3"),
    ("fuzzy: a full-width star is no wild card", {"fuzzy": True}, {"PatientName": "d＊e"}, ""),
    ("fuzzy: names only", {"fuzzy": True}, {"StudyDescription": "hea"}, ""),
    ("without it words count for nothing", {}, {"PatientName": "john"}, ""),
    # -- combined datetime matching (C.2.2.2.5)
    (
        "from a moment to another", {"combined_datetime": True},
        {"StudyDate": "20240101-20240131", "StudyTime": "11-1000"}, "2",
    ),
    (
        "with its ends", {"combined_datetime": True},
        {"StudyDate": "20240101-20240131", "StudyTime": "10-103015.5"}, "123",
    ),
    (
        "from a moment on", {"combined_datetime": True},
        {"StudyDate": "20240131-", "StudyTime": "1100-"}, "4",
    ),
    (
        "until a moment", {"combined_datetime": True},
        {"StudyDate": "-20240115", "StudyTime": "-0959"}, "1",
    ),
    (
        "ranges of two forms are two ranges", {"combined_datetime": True},
        {"StudyDate": "20240101-20240131", "StudyTime": "1030-"}, "3",
    ),
    (
        "a date and a range of times are two keys", {"combined_datetime": True},
        {"StudyDate": "20240131", "StudyTime": "10-11"}, "3",
    ),
    # -- empty value matching (C.2.2.2.7)
    ("no text", {"empty_values": True}, {"StudyDescription": '""'}, "456"),
    ("no name", {"empty_values": True}, {"PatientName": '""'}, "5"),
    ("no date, or none that is one", {"empty_values": True}, {"StudyDate": '""'}, "56"),
    ("no number", {"empty_values": True}, {"SeriesNumber": '""'}, "456"),
    ("no value of several", {"empty_values": True}, {"OtherPatientIDs": '""'}, "12456"),
    ("no modality in the study", {"empty_values": True}, {"ModalitiesInStudy": '""'}, "5"),
    (
        "no value in an item", {"empty_values": True},
        {"RequestAttributesSequence.AccessionNumber": '""'}, "3",
    ),
    ("without it two quotation marks are two", {}, {"StudyDescription": '""'}, ""),
    # -- multiple value matching (C.2.2.2.8)
    ("all of several modalities", {"multiple_values": True}, {"ModalitiesInStudy": "MR\\CT"}, "6"),
    (
        "all of several values, in any order", {"multiple_values": True},
        {"AdmittingDiagnosesDescription": "fever\\cough"}, "3",
    ),
    ("all of several names", {"multiple_values": True}, {"OperatorsName": "curie^marie\\BOHR^NIELS"}, "3"),
    ("one value is one", {"multiple_values": True}, {"ModalitiesInStudy": "CT"}, "126"),
    ("UIDs remain a list", {"multiple_values": True}, {"SOPClassesInStudy": f"{MR}\\{CT}"}, ALL),
    ("attributes of one value, too", {"multiple_values": True}, {"AccessionNumber": "AX1\\A_1"}, "13"),
]  # fmt: skip

LEVELS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("PATIENT", {"PatientName": "doe*"}, ["P1", "P1", "P6"]),
    ("PATIENT", {"StudyInstanceUID": "1.3"}, ["P3"]),
    ("PATIENT", {"Modality": "MR"}, ["P3", "P6"]),
    ("PATIENT", {"ModalitiesInStudy": "MR"}, ["P3", "P6"]),
    ("PATIENT", {"StudyDate": "20240131-", "Modality": "MR"}, ["P3"]),
    ("SERIES", {"StudyInstanceUID": "1.6"}, ["1.6.1", "1.6.2"]),
    ("SERIES", {"StudyInstanceUID": "1.6", "Modality": "MR"}, ["1.6.2"]),
    ("SERIES", {"PatientID": "P1"}, ["1.1.1", "1.2.1"]),
    ("SERIES", {"PatientName": "doe^j*", "StudyDate": "20240115-"}, ["1.2.1"]),
    ("SERIES", {"ModalitiesInStudy": "MR", "PatientID": "P6"}, ["1.6.1", "1.6.2"]),
    ("SERIES", {"SOPInstanceUID": "1.6.2.1"}, ["1.6.2"]),
    ("IMAGE", {"SeriesInstanceUID": "1.6.2"}, ["1.6.2.1"]),
    ("IMAGE", {"StudyInstanceUID": "1.6"}, ["1.6.1.1", "1.6.2.1"]),
    ("IMAGE", {"StudyInstanceUID": "1.6", "SOPClassUID": MR}, ["1.6.2.1"]),
    ("IMAGE", {"PatientID": "P1", "InstanceNumber": "02"}, ["1.2.1.1"]),
    ("IMAGE", {"StudyInstanceUID": "1.6", "SeriesInstanceUID": "1.1.1"}, []),
    ("IMAGE", {"SOPInstanceUID": ["1.1.1.1", "1.3.1.1", "9.9"]}, ["1.1.1.1", "1.3.1.1"]),
    ("IMAGE", {"ModalitiesInStudy": "MR", "Modality": "CT"}, ["1.6.1.1"]),
    ("IMAGE", {"SOPClassesInStudy": MR, "PatientID": "P6"}, ["1.6.1.1", "1.6.2.1"]),
]
