# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that goes into an image is of its fingerprint, and what changed is told by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import Fingerprint, Inputs, from_labels, reasons, take
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import _fingerprint as fingerprint

ONE, TWO = (f"sha256:{letter * 64}" for letter in "12")
BEFORE = Inputs(
    "FROM a.test/os:1\n",
    ONE,
    {"etc": "1" * 64, "usr": "1" * 64},
    {"a.test/os:1": ONE},
    args={"A": "1"},
    labels={"tier": "web"},
    annotations={"by": "me"},
    secrets=("token",),
    options={"target": "last"},
)
CHANGES: list[tuple[Mapping[str, Any], str]] = [
    ({"containerfile": "FROM a.test/os:2\n"}, "the Containerfile changed"),
    ({"context": TWO, "top": {"etc": "2" * 64, "usr": "1" * 64}}, "context entry etc changed"),
    ({"bases": {"a.test/os:1": TWO}}, "base image a.test/os:1 changed"),
    ({"args": {"A": "2"}}, "build argument A changed"),
    ({"args": {}}, "build argument A removed"),
    ({"labels": {"tier": "web", "more": ""}}, "label more added"),
    ({"annotations": {"by": "you"}}, "annotation by changed"),
    ({"secrets": ("token", "key")}, "secret id key added"),
    ({"options": {"target": "first"}}, "option target changed"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES, ids=[reason for _change, reason in CHANGES])
def test_each_input_is_of_the_fingerprint_and_named_where_it_changed(change: Mapping[str, Any], reason: str) -> None:
    before, after = take(BEFORE), take(replace(BEFORE, **change))
    assert before.digest != after.digest
    assert reasons(before, after) == (reason,)
    read = from_labels(before.as_labels())
    assert read
    assert reasons(read, after) == (reason,), "the labels of an image tell as much"


def test_the_same_inputs_are_no_reason() -> None:
    assert take(BEFORE) == take(replace(BEFORE))
    assert take(replace(BEFORE, secrets=("a", "b"))).digest == take(replace(BEFORE, secrets=("b", "a"))).digest
    assert reasons(take(BEFORE), take(BEFORE)) == ()


def test_another_version_of_the_collection_is_the_only_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    before = take(BEFORE)
    monkeypatch.setattr(fingerprint, "VERSION", fingerprint.VERSION + 1)
    after = take(replace(BEFORE, args={"A": "2"}))
    assert reasons(before, after) == ("the image was built by another version of this collection",)
    assert take(BEFORE).digest != before.digest


def test_files_are_named_where_those_before_are_remembered() -> None:
    before, after = take(BEFORE), take(replace(BEFORE, context=TWO, top={"etc": "2" * 64}))
    files = {"etc/motd": "f0644:1", "etc/hosts": "f0644:1"}, {"etc/motd": "f0644:2"}
    assert reasons(before, after, files) == ("context file etc/hosts removed", "context file etc/motd changed")
    entries = ("context entry etc changed", "context entry usr removed")
    assert reasons(before, after, ({}, files[1])) == entries, "nobody remembers them"
    assert reasons(before, after, (files[1], files[1])) == entries, "what is remembered is of another context"


def test_the_first_of_many_files_are_named_and_the_others_counted() -> None:
    before, after = take(BEFORE), take(replace(BEFORE, context=TWO))
    assert reasons(before, after, ({"a": "1"}, {f"{number}": "1" for number in range(7)} | {"a": "1"})) == tuple(
        f"context file {number} added" for number in range(7)
    )
    told = reasons(before, after, ({"a": "1"}, {f"{number}": "1" for number in range(10)}))
    assert told[7:] == ("context file 7 added", "3 more of the context")


def test_of_a_context_with_many_entries_the_labels_have_one_digest() -> None:
    """A label is carried by every image."""
    most, more = ({f"{number:02}": "1" * 64 for number in range(count)} for count in (64, 65))
    assert reasons(take(BEFORE), take(replace(BEFORE, context=TWO, top=more))) == ("the context changed",)
    assert take(replace(BEFORE, top=more)).parts["context"] == "1" * 12
    assert len(take(replace(BEFORE, top=most)).parts["context"]) == 64


def test_a_change_that_no_part_shows_is_one_all_the_same() -> None:
    assert reasons(Fingerprint(ONE, {}), Fingerprint(TWO, {})) == ("an input changed",)


def test_an_image_without_the_label_has_no_fingerprint() -> None:
    assert from_labels({}) is None
    assert from_labels({fingerprint.LABEL: ""}) is None
