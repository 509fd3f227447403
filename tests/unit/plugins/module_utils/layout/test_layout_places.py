# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which image is in files, whether it is whole, and where none may be written."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import OptionError
from ansible_collections.imagemode.bootc.plugins.module_utils._layout import (
    DestinationForeign,
    LayoutInvalid,
    Place,
    broken_blobs,
    file_blob,
    file_configuration,
    file_digest,
    named,
    names,
    packed,
    refuse_ambiguous,
    refuse_foreign,
    same_configuration,
    unpacked,
)
from ansible_collections.imagemode.bootc.plugins.module_utils._reference import Reference, ReferenceInvalid

MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
CONFIG = b'{"architecture": "amd64", "os": "linux"}'


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Layout:
    """An OCI layout that is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = Place("oci", path)
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.entries: list[dict[str, Any]] = []
        self.save()

    def save(self) -> None:
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))

    def blob(self, content: bytes, media_type: str = "application/octet-stream") -> dict[str, Any]:
        self.file(digest(content)).write_bytes(content)
        return {"mediaType": media_type, "digest": digest(content), "size": len(content)}

    def file(self, name: str) -> Path:
        return self.path / "blobs" / name.replace(":", "/")

    def image(self, layer: bytes) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.blob(CONFIG), "layers": [self.blob(layer)]}
        return self.blob(json.dumps(document).encode(), MANIFEST)

    def add(self, entry: dict[str, Any], name: str = "") -> str:
        self.entries.append({**entry, "annotations": {"org.opencontainers.image.ref.name": name}} if name else entry)
        self.save()
        return str(entry["digest"])


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("oci:/x", Place("oci", Path("/x"))),
        ("oci:/x:1.0", Place("oci", Path("/x"), "1.0")),
        ("oci:/x:@0", Place("oci", Path("/x"), "@0")),
        ("dir:/x:1", Place("dir", Path("/x:1"))),
        ("docker-archive:/x:r.test/os:1", Place("docker-archive", Path("/x"), "r.test/os:1")),
        ("docker-archive:/x:@0", Place("docker-archive", Path("/x"), "@0")),
        ("docker://r.test/os:1", Place("docker", reference=Reference.parse("r.test/os:1"))),
    ],
)
def test_a_place_is_what_was_written(text: str, place: Place) -> None:
    assert Place.parse(text) == place
    assert str(place) == text
    assert place.is_layout is text.startswith("oci")


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "dir", "docker-archive"])
def test_a_path_may_begin_with_the_home(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert str(Place.parse(f"{transport}:~/images/os")) == f"{transport}:/home/me/images/os"
    assert str(Place.parse(f"{transport}:/srv/~/os")) == f"{transport}:/srv/~/os"


@pytest.mark.parametrize("text", ["dir", "oci", "docker-daemon", "docker-archive"])
def test_a_transport_without_a_path_is_an_image_of_that_name(text: str) -> None:
    assert str(Place.parse(text)) == f"docker://docker.io/library/{text}:latest"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("containers-storage:os", OptionError),
        ("docker-daemon:os:1", OptionError),
        ("oci:", OptionError),
        ("oci:/x:a b", OptionError),
        ("oci-archive:/x:-", OptionError),
        ("docker-archive:/x:A B", ReferenceInvalid),
        ("No Image", ReferenceInvalid),
    ],
)
def test_what_is_no_place_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Place.parse(text)


@pytest.mark.parametrize("text", ["/tmp/os", "./os.tar", "../os", "~/os"])
def test_a_path_alone_is_told_from_a_name(text: str) -> None:
    with pytest.raises(OptionError, match="is a path") as refused:
        Place.parse(text)
    assert f"oci-archive:{text} " in (refused.value.hint or "")


def test_the_digest_is_that_of_the_image_that_was_named(layout: Layout) -> None:
    assert file_digest(Place("oci", layout.path / "none")) is None
    assert file_digest(layout.place) is None
    one = layout.add(layout.image(b"one"), "one")
    assert (file_digest(layout.place), named(layout.place).name) == (one, "one"), "there is but one"
    two = layout.add(layout.image(b"two"), "two")
    layout.add(layout.image(b"nameless"))
    assert (names(layout.place), names(Place("oci", layout.path / "none"))) == ({"one": one, "two": two}, {})
    assert named(Place("oci", layout.path, "two")).name == "two"
    assert file_digest(Place("oci", layout.path, "two")) == two
    assert file_digest(Place("oci", layout.path, "three")) is None
    with pytest.raises(LayoutInvalid, match="holds several images: one, two, sha256:"):
        file_digest(layout.place)


def test_what_is_attached_is_no_image_of_its_own(layout: Layout) -> None:
    one = layout.add(layout.image(b"one"))
    layout.add(layout.image(b"signature"), f"{one.replace(':', '-')}.sig")
    assert file_digest(layout.place) == one


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"manifests": [7]}', '{"manifests": [{}]}'])
def test_files_that_are_no_layout_are_an_error_and_not_nothing(layout: Layout, content: str) -> None:
    (layout.path / "index.json").write_text(content)
    with pytest.raises(LayoutInvalid, match="is not an image of the transport 'oci'") as refused:
        file_digest(layout.place)
    assert refused.value.hint


def test_an_image_that_is_cut_off_is_not_whole(layout: Layout) -> None:
    image = layout.image(b"a layer")
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**image, "platform": {"os": "linux", "architecture": "amd64"}}]}
    top = layout.add(layout.blob(json.dumps(index).encode(), INDEX))
    layer = layout.file(digest(b"a layer"))
    assert broken_blobs(layout.place, top) == ()
    layer.write_bytes(b"a lay")
    assert broken_blobs(layout.place, top) == (layer,)
    layer.unlink()
    assert broken_blobs(layout.place, top) == (layer,)
    layout.file(image["digest"]).unlink()
    assert broken_blobs(layout.place, top) == (layout.file(image["digest"]),)
    layout.file(top).unlink()
    assert broken_blobs(layout.place, top) == (layout.file(top),)


def test_a_small_file_that_is_damaged_is_not_read(layout: Layout) -> None:
    layout.image(b"payload")
    assert file_blob(layout.place, digest(b"payload")) == b"payload"
    assert file_configuration(layout.place, digest(CONFIG)) == json.loads(CONFIG)
    layout.file(digest(b"payload")).write_bytes(b"damaged")
    for lost in (digest(b"payload"), digest(b"not there")):
        with pytest.raises(LayoutInvalid, match="or has it damaged"):
            file_blob(layout.place, lost)
    with pytest.raises(LayoutInvalid, match="lacks the configuration"):
        file_configuration(layout.place, digest(b"not there"))


def test_an_archive_is_the_layout_that_was_packed(layout: Layout, tmp_path: Path) -> None:
    archive = tmp_path / "os.tar"
    one = layout.add(layout.image(b"one"), "one")
    with packed(archive) as directory:
        layout.path.rename(directory / "x")
        for file in (directory / "x").iterdir():
            file.rename(directory / file.name)
        assert not archive.exists()
    place = Place("oci-archive", archive)
    assert (file_digest(place), names(place), named(place).name) == (one, {"one": one}, "one")
    with tarfile.open(archive) as tar:
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}
    with unpacked(archive) as directory:
        assert broken_blobs(Place("oci", directory), one) == ()
    archive.write_bytes(b"no archive")
    with pytest.raises(LayoutInvalid), unpacked(archive):
        pass


def test_of_a_docker_archive_the_image_is_the_one_that_was_named(tmp_path: Path) -> None:
    images = [{"Config": f"{letter * 64}.json", "RepoTags": [f"r.test/os:{letter}"]} for letter in "ab"]
    (tmp_path / "manifest.json").write_text(json.dumps(images))
    with tarfile.open(tmp_path / "os.tar", "w") as tar:
        tar.add(tmp_path / "manifest.json", "manifest.json")
    place = Place("docker-archive", tmp_path / "os.tar")
    assert file_digest(place) == f"sha256:{'a' * 64}"
    assert file_digest(Place("docker-archive", place.path, "r.test/os:b")) == f"sha256:{'b' * 64}"
    assert file_digest(Place("docker-archive", place.path, "r.test/os:c")) is None
    with pytest.raises(LayoutInvalid, match=r"holds several images: r\.test/os:a, r\.test/os:b"):
        refuse_ambiguous(place)
    refuse_ambiguous(Place("docker-archive", place.path, "r.test/os:b"))
    refuse_ambiguous(Place("docker-archive", tmp_path / "none.tar"))


@pytest.mark.parametrize(
    ("transport", "files", "refused"),
    [
        ("oci", [], False),
        ("oci", ["lost+found"], False),
        ("oci", ["index.json", "oci-put-blob123"], False),
        ("oci", ["oci-layout", "README"], False),
        ("oci", ["README"], True),
        ("dir", [], False),
        ("dir", ["version", "manifest.json", "0" * 64], False),
        ("dir", ["version", "README"], True),
        ("dir", ["manifest.json"], True),
        ("oci-archive", ["README"], False),
    ],
)
def test_a_directory_of_somebody_else_is_not_written_to(tmp_path: Path, transport: str, files: list[str], refused: bool) -> None:
    refuse_foreign(Place(transport, tmp_path / "none"))
    for name in files:
        (tmp_path / name).touch()
    if not refused:
        refuse_foreign(Place(transport, tmp_path))
        return
    with pytest.raises(DestinationForeign, match=files[-1]) as error:
        refuse_foreign(Place(transport, tmp_path))
    assert error.value.error == "destination_foreign"


def test_two_configurations_are_of_one_image_by_what_it_is_made_of_and_runs() -> None:
    oci = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": ["a"]}, "config": {"Cmd": ["x"]}}
    docker = {**oci, "docker_version": "20", "config": {"Cmd": ["x"], "Image": "y", "Env": None}}
    assert same_configuration(oci, docker)
    for other in ({"rootfs": {"diff_ids": ["b"]}}, {"architecture": "arm64"}, {"created": "2026"}, {"config": {"Cmd": ["y"]}}):
        assert not same_configuration(oci, {**docker, **other})
