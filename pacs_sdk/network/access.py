"""What a program adds to the rules of a configuration: its own say in who may associate."""

from __future__ import annotations

import attrs

from pacs_sdk.network.admission import AdmissionHook
from pacs_sdk.network.identity import UserIdentityVerifier

__all__ = ["AccessControl"]


@attrs.frozen
class AccessControl:
    """Objects that decide about peers and users; without them the configuration's rules do."""

    admission_hook: AdmissionHook | None = None
    """Decides about each association that the rules admit."""
    identity_verifier: UserIdentityVerifier | None = None
    """Verifies user identities (PS3.7 D.3.3.7); without one they are ignored."""
