"""Every error the SDK can report, as one table and one value.

::

    Exception
    └── PacsException(error)      raised inside a layer, converted at its edge
            error: PacsError      code + message + details; what callers see in a Failure
                code: ErrorCode   seed number, DIMSE status, HTTP status, meaning

``PacsError`` is an exception by type, too, but nobody raises it: ``unwrap`` on a ``Failure``
names an exception inside it as the cause, and has no words of its own.

The numbers follow the ranges of the feature document: a category owns a block of
codes between -700 and -899 (:class:`ErrorCategory`). DIMSE statuses come from PS3.7
Annex C and, where a service class defines its own, from PS3.4.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

import attrs

__all__ = ["Detail", "ErrorCategory", "ErrorCode", "PacsError", "PacsException"]

Detail: TypeAlias = str | int | float | bool | tuple[str, ...]
"""What a detail of an error may be: plain, immutable, printable."""


class ErrorCategory(enum.Enum):
    """The block of codes that one part of the system owns: ``(first, last)``, downwards."""

    DICOM_FILE = (-700, -719)
    DICOM_ELEMENT = (-720, -739)
    ENCODING = (-740, -759)
    NETWORK = (-760, -779)
    STORAGE = (-780, -799)
    STORE_SERVICE = (-800, -819)
    FIND_SERVICE = (-820, -839)
    RETRIEVE_SERVICE = (-840, -859)
    VERIFICATION_SERVICE = (-860, -869)
    MPPS_SERVICE = (-870, -879)
    WORKLIST_SERVICE = (-880, -889)
    GENERAL_SERVICE = (-890, -899)

    def __contains__(self, number: int) -> bool:
        """Whether a code number lies in this block."""
        first, last = self.value
        return last <= number <= first


class ErrorCode(enum.Enum):
    """One row an error: number, DIMSE status, HTTP status, meaning."""

    def __init__(self, number: int, dimse_status: int, http_status: int, meaning: str) -> None:
        self.number = number
        """The stable number, -700 to -899."""
        self.dimse_status = dimse_status
        """The status a DIMSE response carries when this error ends an operation."""
        self.http_status = http_status
        """The status an HTTP response carries for the same."""
        self.meaning = meaning
        """What the code means, in a few words."""

    @property
    def category(self) -> ErrorCategory:
        """The block this code belongs to."""
        return next(block for block in ErrorCategory if self.number in block)

    # DICOM file (-700 … -719)
    FILE_NOT_FOUND = (-700, 0x0110, 404, "the file does not exist")
    FILE_READ_FAILED = (-701, 0x0110, 500, "the file could not be read")
    FILE_WRITE_FAILED = (-702, 0xA700, 500, "the file could not be written")
    NOT_DICOM = (-703, 0xC000, 400, "the data is not DICOM")
    INVALID_FILE_META = (-704, 0xC000, 400, "the File Meta Information is invalid")
    MISSING_TRANSFER_SYNTAX = (-705, 0xC000, 400, "no transfer syntax is given")
    UNSUPPORTED_TRANSFER_SYNTAX = (-706, 0x0110, 415, "the transfer syntax is not supported")
    TRUNCATED = (-707, 0xC000, 400, "the data ends before it is complete")

    # DICOM element (-720 … -739)
    ELEMENT_NOT_FOUND = (-720, 0x0120, 404, "the data set has no such element")
    VALUE_CONVERSION_FAILED = (-721, 0x0106, 400, "the value cannot be converted")
    INVALID_VR = (-722, 0xC000, 400, "the value representation is invalid")
    INVALID_TAG = (-723, 0x0106, 400, "the text names no tag")
    INVALID_UID = (-724, 0xC000, 400, "the value is not a valid UID")
    MISSING_REQUIRED_VALUE = (-725, 0xC000, 400, "a required value is missing")
    INVALID_VALUE = (-726, 0x0106, 400, "a value breaks the rules of its value representation")

    # Encoding (-740 … -759)
    DECODE_FAILED = (-740, 0xC000, 400, "the bytes cannot be decoded")
    ENCODE_FAILED = (-741, 0x0110, 500, "the data set cannot be encoded")
    LIMIT_EXCEEDED = (-742, 0xA700, 413, "the data exceeds a limit")
    PIXEL_DATA_FAILED = (-743, 0x0110, 422, "the pixel data cannot be decoded")

    # Network (-760 … -779)
    CONNECTION_FAILED = (-760, 0x0110, 502, "the peer cannot be reached")
    ASSOCIATION_REJECTED = (-761, 0x0110, 502, "the peer rejected the association")
    ASSOCIATION_ABORTED = (-762, 0x0110, 502, "the association was aborted")
    PRESENTATION_CONTEXT_REFUSED = (-763, 0x0122, 502, "no presentation context was accepted")
    INVALID_PDU = (-764, 0x0110, 400, "a protocol data unit is malformed")
    INVALID_DIMSE_MESSAGE = (-765, 0x0110, 400, "a DIMSE message is malformed")
    NETWORK_TIMEOUT = (-766, 0x0110, 504, "the peer did not answer in time")
    PORT_UNAVAILABLE = (-767, 0x0110, 500, "the port cannot be listened on")
    PROTOCOL_MISUSE = (-768, 0x0110, 500, "the operation does not fit the association's state")
    TLS_HANDSHAKE_FAILED = (-769, 0x0110, 502, "no secure connection could be agreed on")

    # Storage (-780 … -799)
    STORAGE_WRITE_FAILED = (-780, 0xA700, 507, "the object could not be stored")
    STORAGE_READ_FAILED = (-781, 0x0110, 500, "the object could not be read")
    OBJECT_NOT_FOUND = (-782, 0x0112, 404, "no such object is stored")
    DUPLICATE_OBJECT = (-783, 0x0111, 409, "another object with this UID is stored")
    INDEX_FAILED = (-784, 0xA700, 503, "the index database failed")
    INVALID_STORAGE_KEY = (-785, 0x0106, 400, "the name cannot be used for a stored object")
    STORAGE_DELETE_FAILED = (-786, 0x0110, 500, "the object could not be deleted")

    # C-STORE service (-800 … -819); statuses PS3.4 B.2.3
    STORE_FAILED = (-800, 0xC000, 500, "the instance was not stored")
    STORE_DATASET_MISMATCH = (-801, 0xA900, 409, "the data set does not match the request")
    STORE_OUT_OF_RESOURCES = (-802, 0xA700, 507, "no room is left to store the instance")
    STORE_NOTHING_TO_SEND = (-803, 0x0110, 400, "there is nothing to send")

    # C-FIND service (-820 … -839); statuses PS3.4 C.4.1.1.4
    FIND_FAILED = (-820, 0xC000, 500, "the query failed")
    FIND_INVALID_IDENTIFIER = (-821, 0xA900, 400, "the identifier does not fit the query model")

    # C-MOVE and C-GET service (-840 … -859); statuses PS3.4 C.4.2.1.5 and C.4.3.1.4
    RETRIEVE_FAILED = (-840, 0xC000, 500, "the retrieval failed")
    RETRIEVE_INVALID_IDENTIFIER = (-841, 0xA900, 400, "the identifier does not fit the model")
    RETRIEVE_SUBOPERATIONS_FAILED = (-842, 0xA702, 502, "some instances could not be sent")
    MOVE_DESTINATION_UNKNOWN = (-843, 0xA801, 404, "the move destination is unknown")
    RETRIEVE_MATCHES_UNKNOWN = (-844, 0xA701, 503, "what there is to send could not be found out")

    # Verification service (-860 … -869)
    VERIFICATION_FAILED = (-860, 0x0110, 502, "the peer did not confirm the C-ECHO")

    # MPPS service (-870 … -879)
    MPPS_FAILED = (-870, 0x0110, 500, "the performed procedure step was not recorded")

    # Worklist service (-880 … -889)
    WORKLIST_FAILED = (-880, 0xC000, 500, "the worklist query failed")

    # General service (-890 … -899)
    INTERNAL = (-890, 0x0110, 500, "an unexpected error occurred")
    SOP_CLASS_NOT_SUPPORTED = (-891, 0x0122, 501, "the SOP class is not supported")
    OPERATION_NOT_SUPPORTED = (-892, 0x0211, 501, "the operation is not supported")
    NOT_AUTHORISED = (-893, 0x0124, 403, "the peer may not do this")
    CANCELLED = (-894, 0xFE00, 499, "the operation was cancelled")
    INVALID_CONFIGURATION = (-895, 0x0110, 500, "the configuration is invalid")
    INVALID_ARGUMENT = (-896, 0x0115, 400, "an argument is invalid")
    MISSING_DEPENDENCY = (-897, 0x0110, 501, "an optional package is not installed")
    SERIES_NOT_LOADABLE = (-898, 0x0110, 422, "the series cannot become one volume")


def _sorted_pairs(details: Mapping[str, Detail]) -> tuple[tuple[str, Detail], ...]:
    return tuple(sorted(details.items()))


@attrs.frozen(auto_exc=False)  # equal by value, not by identity as exceptions are
class PacsError(Exception):
    """What went wrong: the value every ``Failure`` of the SDK carries.

    It is never raised; what is raised is :class:`PacsException`.
    """

    code: ErrorCode
    """Which kind of error this is; match on it."""
    message: str
    """One sentence a person can act on."""
    _details: tuple[tuple[str, Detail], ...] = attrs.field(
        factory=dict, converter=_sorted_pairs, alias="details"
    )

    @property
    def details(self) -> dict[str, Detail]:
        """The facts behind the message, by name (path, tag, byte offset and the like)."""
        return dict(self._details)

    @property
    def for_log(self) -> str:
        """The message as it may be logged.

        Where it quotes a value that may be a patient's, the detail ``without_value`` says the same.
        """
        return str(self.details.get("without_value", self.message))

    def __str__(self) -> str:
        return f"{self.message} [{self.code.name} {self.code.number}]"

    def __reduce__(self) -> tuple[object, ...]:
        return PacsError, (self.code, self.message, self.details)


class PacsException(Exception):
    """Carries a :class:`PacsError` inside a layer; never crosses a public boundary."""

    def __init__(self, code: ErrorCode, message: str, **details: Detail) -> None:
        super().__init__(message)
        self.error = PacsError(code, message, details)

    @classmethod
    def of(cls, error: PacsError) -> PacsException:
        """Wrap an error that another layer reported, to raise it on."""
        return cls(error.code, error.message, **error.details)

    def __reduce__(self) -> tuple[object, ...]:
        return PacsException.of, (self.error,)
