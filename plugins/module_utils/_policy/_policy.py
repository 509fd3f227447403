# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policy as data: one scope at a time is set or taken away, and everything else stays."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._errors import ImageModeError

ACCEPT, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}
KEY_MARKS = {"sigstore": "-----BEGIN PUBLIC KEY-----", "gpg": "-----BEGIN PGP PUBLIC KEY BLOCK-----"}
DEFAULTS = {"insecure": ACCEPT, "reject": REJECT}
# What does not come from a registry; Podman needs its own storage to run what it pulled.
LOCAL_TRANSPORTS = ("containers-storage", "dir", "docker-archive", "docker-daemon", "oci", "oci-archive", "tarball")


class PolicyInvalid(ImageModeError):
    """A policy cannot be read as one, or asks for what cannot be meant."""

    error = "signature_policy_invalid"


@dataclass(frozen=True)
class Scope:
    """What is demanded of images below a name.

    :ivar name: C(registry[:port][/namespace…]), with C(:tag) or not
    :ivar kind: C(sigstore), C(gpg), C(reject) or C(insecure)
    :ivar keys: public keys: PEM, or exported by GnuPG, armoured; a signature by one of them will do
    :ivar signed_repository: what the signatures are for, if it is not the repository that is pulled from
    :ivar lookaside: address of GnuPG's signatures
    :ivar mirrors: where registries.conf(5) has the images pulled from: policies go by the name that is asked for, the places of
        signatures by the one that is really pulled from (containers/image 5.35, ``docker/docker_image_src.go``)
    """

    name: str
    kind: str
    keys: tuple[str, ...] = ()
    signed_repository: str | None = None
    lookaside: str | None = None
    mirrors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wanted = self.kind in ("sigstore", "gpg")
        if wanted != bool(self.keys):
            raise PolicyInvalid(
                f"The scope '{self.name}' of type '{self.kind}' {'has no key' if wanted else 'has keys'}.",
                hint="Give keys for the types sigstore and gpg, and for these only.",
            )
        if any(KEY_MARKS[self.kind] not in key for key in self.keys):
            raise PolicyInvalid(
                f"A key of the scope '{self.name}' is none: '{KEY_MARKS[self.kind]}' is missing.",
                hint="Give the contents of cosign.pub for the type sigstore, of 'gpg --export --armor' for gpg.",
            )
        if self.lookaside and self.kind != "gpg":
            raise PolicyInvalid(f"The scope '{self.name}' has a lookaside and is not of type 'gpg'.", hint="Leave 'lookaside' out.")
        if self.name.startswith("*.") and wanted:
            raise PolicyInvalid(
                f"The scope '{self.name}' has a wildcard, for which containers-registries.d(5) can name no signatures.",
                hint="Name each registry.",
            )
        if "://" in self.name or not self.name or self.name.endswith("/"):
            raise PolicyInvalid(f"'{self.name}' is no scope.", hint="Write registry.example.com, or registry.example.com/namespace.")

    @property
    def requirement(self) -> dict[str, Any]:
        """:returns: the entry of containers-policy.json(5); keys are part of it, so that the file is all there is"""
        if self.kind in DEFAULTS:
            return DEFAULTS[self.kind]
        # Tags are moved, and cosign signs none: what has to agree is the repository.
        identity = {"type": "matchRepository"}
        if self.signed_repository:
            identity = {"type": "exactRepository", "dockerRepository": self.signed_repository}
        if self.kind == "gpg":
            data: dict[str, Any] = {"keyType": "GPGKeys", "keyData": _base64("\n".join(key.strip() for key in self.keys))}
        else:
            # Of several in one entry, a file with two, say, the first alone would count.
            mark = KEY_MARKS["sigstore"]
            keys = [_base64(f"{mark}{rest}") for text in self.keys for rest in text.split(mark)[1:]]
            data = {"keyData": keys[0]} if len(keys) == 1 else {"keyDatas": keys}  # skopeo 1.18 knows these
        return {"type": "signedBy" if self.kind == "gpg" else "sigstoreSigned", **data, "signedIdentity": identity}

    @property
    def storage(self) -> dict[str, Any] | None:
        """:returns: the entry of containers-registries.d(5): where signatures are looked for"""
        if self.kind == "sigstore":
            return {"use-sigstore-attachments": True}
        return {"lookaside": self.lookaside} if self.lookaside else None


def with_scope(document: Mapping[str, Any], name: str, entry: Any | None, *path: str) -> dict[str, Any]:
    """:param path: keys of the mapping that has scopes, for example C(transports), C(docker)
    :param entry: what the scope is to have there; C(None) to have it taken away
    :returns: the document, changed
    """
    changed = copy.deepcopy(dict(document))
    place = changed
    for key in path:
        if entry is None and key not in place:
            return changed
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise PolicyInvalid(f"'{key}' is no mapping in the policy that is there.", hint="Repair the file.")
    if entry is None:
        place.pop(name, None)
    else:
        place[name] = entry
    return changed


def with_default(document: Mapping[str, Any], default: str, accept_local: bool) -> dict[str, Any]:
    """:param default: C(reject) or C(insecure), for what no scope is for
    :param accept_local: let the default mean registries only: other transports that have no policy accept everything
    """
    changed = {**copy.deepcopy(dict(document)), "default": [DEFAULTS[default]]}
    for transport in LOCAL_TRANSPORTS if accept_local and default == "reject" else ():
        if "" not in changed.get("transports", {}).get(transport, {}):
            changed = with_scope(changed, "", [ACCEPT], "transports", transport)
    return changed


def enforceable(document: Mapping[str, Any]) -> bool:
    """:returns: whether bootc enforces this policy: it refuses one whose default accepts everything (ostree-ext, C(skopeo.rs))"""
    return document.get("default") not in ([ACCEPT], None)


def _base64(key: str) -> str:
    return base64.b64encode((key.strip() + "\n").encode()).decode()
