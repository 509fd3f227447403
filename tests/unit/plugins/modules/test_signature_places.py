# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where bootc_signature_policy says that signatures are, beside what other files say."""

from __future__ import annotations

from typing import Any

import pytest

SCOPE = "registry.test:5000/team"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (f"docker:\n  {SCOPE}:\n    use-sigstore-attachments: true\n", True),
        (f"docker:\n    '{SCOPE}' :\n        lookaside: file:///x\n", True),
        (f'{{"docker": {{"{SCOPE}": {{"use-sigstore-attachments": true}}}}}}', True),
        (f"docker:\n  {SCOPE}: {{lookaside: 'file:///x'}}\n", True),
        (f"docker:\n  {SCOPE}/other:\n    use-sigstore-attachments: true\n", False),
        (f"docker:\n  {SCOPE}:1:\n    use-sigstore-attachments: true\n", False),
        (f"docker:\n#  {SCOPE}:\n  # {SCOPE}:\n  quay.test:\n    lookaside: https://x.test/{SCOPE}\n", False),
        ("default-docker:\n  use-sigstore-attachments: true\n", False),
    ],
)
def test_a_scope_that_another_file_has_is_refused_before_anything_is_written(host: Any, text: str, refused: bool) -> None:
    """containers/image pulls nothing at all then: '"docker" namespace … defined both in … and …'."""
    (host.base / "registries.d").mkdir()
    (host.base / "registries.d/site.yaml").write_text(text)
    options = {
        "path": str(host.base / "policy.json"),
        "registries_d": str(host.base / "registries.d"),
        "check_image": False,
        "scopes": [{"scope": SCOPE, "type": "sigstore", "keys": ["-----BEGIN PUBLIC KEY-----\nQUJD\n-----END PUBLIC KEY-----\n"]}],
    }
    for check_mode in (True, False):
        result = host.run("bootc_signature_policy", check_mode=check_mode, **options)
        assert result.get("error") == ("signature_policy_invalid" if refused else None), result
        assert result["changed"] is not refused
    assert (host.base / "policy.json").exists() is not refused
    if refused:
        assert "site.yaml" in result["msg"]
        options["scopes"][0] = {"scope": SCOPE, "type": "reject"}  # which has no signatures to look for
        assert host.run("bootc_signature_policy", **options)["changed"]


def test_a_policy_that_cannot_be_written_is_an_error_that_tells_what_was(host: Any) -> None:
    options = {
        "path": "/proc/imagemode/policy.json",  # where not even root makes a directory
        "registries_d": str(host.base / "registries.d"),
        "check_image": False,
        "scopes": [{"scope": SCOPE, "type": "sigstore", "keys": ["-----BEGIN PUBLIC KEY-----\nQUJD\n-----END PUBLIC KEY-----\n"]}],
    }
    result = host.run("bootc_signature_policy", **options)
    assert (result["failed"], result["error"], result["changed"]) == (True, "failed", True)
    assert "/proc/imagemode" in result["msg"]
    assert result["hint"]
    assert [path.name for path in (host.base / "registries.d").iterdir()] == ["50-imagemode-bootc.yaml"]
