# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong with signatures, as stable codes."""

from __future__ import annotations

from .._errors import ImageModeError


class SigningKeyInvalid(ImageModeError):
    """A key cannot be read, is of another kind, or its passphrase is wrong."""

    error = "signing_key_invalid"


class SigningFailed(ImageModeError):
    """The signature could not be made or stored."""

    error = "signing_failed"


class SignatureMissing(ImageModeError):
    """The image, or one of its platforms, has no signature."""

    error = "signature_missing"


class SignatureInvalid(ImageModeError):
    """There are signatures, none of them by these keys for this image."""

    error = "signature_invalid"


class CosignUnsupported(ImageModeError):
    """This cosign cannot write the signatures that hosts read."""

    error = "cosign_unsupported"
