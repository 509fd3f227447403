# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signatures of images: by cosign beside the image, or by GnuPG in a lookaside directory."""

from __future__ import annotations

from ._cosign import Cosign, CosignVerifier, SigningKey, fingerprint
from ._gpg import GpgVerifier, Keyring, Lookaside, sign_to
from ._verdict import PARTS, Found, Subject, Verdict, Verifier, judge, subjects
from .errors import CosignUnsupported, SignatureInvalid, SignatureMissing, SigningFailed, SigningKeyInvalid

__all__ = [
    "PARTS",
    "Cosign",
    "CosignUnsupported",
    "CosignVerifier",
    "Found",
    "GpgVerifier",
    "Keyring",
    "Lookaside",
    "SignatureInvalid",
    "SignatureMissing",
    "SigningFailed",
    "SigningKey",
    "SigningKeyInvalid",
    "Subject",
    "Verdict",
    "Verifier",
    "fingerprint",
    "judge",
    "sign_to",
    "subjects",
]
