# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images a Containerfile builds upon."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._errors import ImageModeError
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import (
    Base,
    BaseInvalid,
    ContainerfileInvalid,
    bases,
    here_document,
    lower_stages,
    mounts_files,
    stage_name,
    write_platforms,
)

DIGEST = f"sha256:{'a' * 64}"


def found(text: str, args: dict[str, str] | None = None, **more: Any) -> list[str]:
    return [base.text for base in bases(text, args or {}, **more)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a.test/os:1\n", ["a.test/os:1"]),
        ("from a.test/os:1 as base\n", ["a.test/os:1"]),
        ("\tFROM\ta.test/os:1\tAS\tbase\n", ["a.test/os:1"]),
        ("ARG TAG=1\nFROM a.test/os:${TAG:?missing}\n", ["a.test/os:1"]),
        ("FROM a.test/os:1\nRUN cat <<end-of.it\nFROM nowhere\nend-of.it\nCOPY --from=a.test/b:1 / /\n", ["a.test/os:1", "a.test/b:1"]),
        ("FROM a.test/os:1\nLABEL caf\udce9=1\n", ["a.test/os:1"]),
        ("FROM scratch\nCOPY . /\n", []),
        (f"FROM a.test/os@{DIGEST}\n", [f"a.test/os@{DIGEST}"]),
        ("\ufeff# comment\n\nFROM a.test/os:1\n", ["a.test/os:1"]),
        ("ARG TAG=1\nFROM a.test/os:$TAG\n", ["a.test/os:1"]),
        ("ARG TAG=1\nARG NAME=os:${TAG}\nFROM a.test/${NAME}\n", ["a.test/os:1"]),
        ('ARG TAG="1"\nFROM a.test/os:${TAG:-2}\n', ["a.test/os:1"]),
        ("ARG TAG\nFROM a.test/os:${TAG:-2}\n", ["a.test/os:2"]),
        ("ARG B=2\nARG TAG\nFROM a.test/os:${TAG:-${B}}\n", ["a.test/os:2"]),
        ("ARG OTHER\nFROM a.test/os${OTHER:+-other}:1\n", ["a.test/os:1"]),
        ("ARG OTHER=$NOTHING\nFROM a.test/os${OTHER}:1\n", ["a.test/os:1"]),
        ("FROM \\\n# a comment between\n\n  a.test/os:1\n", ["a.test/os:1"]),
        ("# escape=`\nFROM `\n  a.test/os:1\n", ["a.test/os:1"]),
        ("FROM a.test/one:1 AS one\nFROM a.test/two:1\nCOPY --from=one /a /b\n", ["a.test/two:1", "a.test/one:1"]),
        ("FROM a.test/one:1\nFROM a.test/two:1\nCOPY --from=0 /a /b\n", ["a.test/two:1", "a.test/one:1"]),
        ("FROM a.test/unused:1 AS unused\nFROM a.test/two:1\n", ["a.test/two:1"]),
        ("FROM a.test/one:1 AS one\nFROM one\n", ["a.test/one:1"]),
        ("FROM a.test/one:1\nCOPY --chown=0:0 --from=b.test/tools:2 /a /b\n", ["a.test/one:1", "b.test/tools:2"]),
        ("FROM a.test/one:1\nRUN --mount=type=bind,from=b.test/tools:2,target=/t /t/run\n", ["a.test/one:1", "b.test/tools:2"]),
        ("FROM a.test/one:1\nRUN <<EOF\nFROM b.test/not:1\nCOPY --from=c.test/not:1 a b\nEOF\n", ["a.test/one:1"]),
        ("FROM a.test/one:1\nRUN cat <<-'A' <<B\nFROM x\n\tA\nFROM y\nB\nCOPY --from=b.test/yes:1 a b\n", ["a.test/one:1", "b.test/yes:1"]),
        ("FROM a.test/one:1\nRUN echo $((1<<SHIFT))\nCOPY --from=b.test/yes:1 a b\n", ["a.test/one:1", "b.test/yes:1"]),
        ("FROM a.test/one:1\nRUN echo \\\n  FROM b.test/not:1\n", ["a.test/one:1"]),
    ],
)
def test_bases_are_found(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "short"), [("os", True), ("team/os:1", True), ("a.test/os", False), ("localhost/os", False), ("host:5000/os", False)]
)
def test_an_image_without_a_registry_may_be_a_local_one(text: str, short: bool) -> None:
    assert Base(text).short is short


def test_a_build_argument_wins_over_its_default() -> None:
    assert found("ARG TAG=1\nFROM a.test/os:$TAG\n", {"TAG": "9"}) == ["a.test/os:9"]
    text = "ARG TAG=1\nFROM scratch\nARG TAG\nCOPY --from=a.test/os:$TAG a b\n"
    assert found(text) == ["a.test/os:1"], "an ARG without a value repeats the one before the first FROM"
    assert found(text, {"TAG": "9"}) == ["a.test/os:9"]


def test_only_the_stages_of_the_target_count() -> None:
    text = "FROM a.test/one:1 AS one\nFROM a.test/two:1 AS two\nFROM one AS three\n"
    assert found(text) == ["a.test/one:1"]
    assert found(text, target="two") == ["a.test/two:1"]
    with pytest.raises(ContainerfileInvalid) as error:
        found(text, target="four")
    assert (error.value.error, "one, two, three" in (error.value.hint or "")) == ("containerfile_invalid", True)


def test_platforms_are_those_of_the_builder_and_of_the_target() -> None:
    text = (
        "FROM --platform=$BUILDPLATFORM a.test/go:1 AS go\nFROM --platform=linux/s390x a.test/x:1 AS x\n"
        "FROM a.test/os-$TARGETARCH:1\nCOPY --from=go a b\nCOPY --from=x a b\n"
    )
    assert [(base.text, base.platform) for base in bases(text, {}, platform="linux/arm64", builder="linux/amd64")] == [
        ("a.test/os-arm64:1", None),
        ("a.test/go:1", "linux/amd64"),
        ("a.test/x:1", "linux/s390x"),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", ContainerfileInvalid),
        ("RUN true\n", ContainerfileInvalid),
        ("FROM a b c d\n", ContainerfileInvalid),
        ("FROM a.test/os:$NOTHING\n", BaseInvalid),
        ("FROM A.test/Not A Name\n", ContainerfileInvalid),
        ("FROM a.test/UPPER:1\n", BaseInvalid),
    ],
)
def test_what_no_engine_would_build_is_told(text: str, error: type[ImageModeError]) -> None:
    with pytest.raises(error) as refused:
        found(text)
    assert refused.value.hint


@pytest.mark.parametrize(("target", "name"), [("base", "base"), ("BASE", "base"), ("0", "base"), ("1", "1"), ("2", "last")])
def test_a_target_is_the_name_of_its_stage_in_lower_case(target: str, name: str) -> None:
    text = "FROM --platform=$BUILDPLATFORM a.test/os:1 AS Base\nFROM scratch\nFROM base as last\n"
    assert stage_name(text, target) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a.test/x:1 AS One\nFROM one\n", "FROM a.test/x:1 AS one\nFROM one\n"),
        (
            "FROM scratch as one\nFROM \\\n  # ONE\n  ONE AS Two\nCOPY --chown=0:0 --from=ONE /ONE \\\n /b\nRUN echo ONE\n",
            "FROM scratch as one\nFROM \\\n  # one\n  one AS two\nCOPY --chown=0:0 --from=one /ONE \\\n /b\nRUN echo ONE\n",
        ),
        (
            "ARG V=One\nFROM scratch AS one\nFROM $V\nARG V\nCOPY --from=${V} a b\nRUN --mount=type=bind,from=$V,target=/x true\n",
            "ARG V=One\nFROM scratch AS one\nFROM one\nARG V\nCOPY --from=one a b\nRUN --mount=type=bind,from=one,target=/x true\n",
        ),
        ("FROM scratch AS one\r\nCOPY <<EOF /x\nFROM ONE\nEOF\nFROM scratch\nCOPY --from=0 a b\n", None),
        ("FROM a.test/os:1\nCOPY --from=b.test/Tools@x a b\n", None),
        ("FROM scratch AS one\nFROM scratch\nRUN echo from=ONE --from=ONE\nLABEL caf\udce9=ONE\n", None),
    ],
)
def test_stages_are_named_in_lower_case_wherever_they_are_meant(text: str, expected: str | None) -> None:
    assert lower_stages(text, {}) == (text if expected is None else expected)


def test_a_stage_is_named_by_the_platforms_of_the_target_and_of_the_builder() -> None:
    text = "FROM scratch AS For-arm64\nFROM scratch AS By-amd64\nFROM for-$TARGETARCH\nFROM by-$BUILDARCH\n"
    assert lower_stages(text, {}, "linux/arm64", "linux/amd64") == (
        "FROM scratch AS for-arm64\nFROM scratch AS by-amd64\nFROM for-arm64\nFROM by-amd64\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "FROM --platform=$BUILDPLATFORM a.test/x:1 AS one\nFROM a.test/x:1\nCOPY --from=one /a /b\nCOPY --from=a.test/x:1 /a /b\n",
            "FROM --platform=$BUILDPLATFORM AMD64 AS one\nFROM --platform=linux/arm64 ARM64\nCOPY --from=one /a /b\n"
            "COPY --from=ARM64 /a /b\n",
        ),
        (
            "ARG B=a.test/x:1\nfrom --platform=linux/amd64 \\\n  # why\n  ${B} as from\nFROM scratch\nFROM from\nfrom \\\n$B\n",
            "ARG B=a.test/x:1\nfrom --platform=linux/amd64 \\\n  # why\n  AMD64 as from\nFROM scratch\nFROM from\n"
            "FROM --platform=linux/arm64 \\\nARM64\n",
        ),
        (
            "FROM --platform=linux/amd64 b.test/y AS x\nFROM a.test/z:1\n",
            "FROM --platform=linux/amd64 b.test/y AS x\nFROM --platform=linux/arm64 a.test/z:1\n",
        ),
        (
            "\ufeffFROM a.test/z:1 AS x\nFROM --platform=linux/amd64 b.test/y\n",
            "\ufeffFROM --platform=linux/arm64 a.test/z:1 AS x\nFROM --platform=linux/amd64 b.test/y\n",
        ),
        (
            "FROM --platform=linux/amd64 b.test/y\nFROM 0\nCOPY --from=0 /a /b\n",
            "FROM --platform=linux/amd64 b.test/y\nFROM --platform=linux/arm64 ZERO\nCOPY --from=0 /a /b\n",
        ),
        ("FROM --platform=$TARGETPLATFORM a.test/x:1 AS one\nFROM a.test/x:1\nCOPY --from=one /a /b\n", None),
    ],
)
def test_each_from_has_its_platform_and_its_own_image_where_there_are_several(text: str, expected: str | None) -> None:
    names = {Base("a.test/x:1"): "ARM64", Base("a.test/x:1", "linux/amd64"): "AMD64", Base("0"): "ZERO"}
    written = write_platforms(text, {}, "linux/arm64", "linux/amd64", names)
    assert written == (text if expected is None else expected)
    assert written.count("\n") == text.count("\n")


def test_a_number_is_a_stage_to_copy_from_and_an_image_to_build_upon() -> None:
    assert found("FROM a.test/one:1\nFROM 0\nCOPY --from=0 a b\n") == ["0", "a.test/one:1"]


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("FROM scratch\nCOPY --from=$TOOLS a b\n", "Line 2 of the Containerfile, COPY with '$TOOLS'", "'ARG TOOLS' in the same stage"),
        ("ARG T=a.test/x:1\nFROM scratch\nENV T=1\nADD --from=${T} a b\n", "Line 4 of the Containerfile, ADD", "ENV does not count"),
        ("FROM scratch\nRUN --mount=type=bind,from=$T,target=/x true\n", "Line 2 of the Containerfile, RUN with '$T'", "'ARG T'"),
        ("FROM a.test/os:$TAG\n", "Line 1 of the Containerfile, FROM", "before the first FROM"),
        (
            "ARG A=1.2\nFROM a.test/os:${A%.2}\n",
            "Line 2 of the Containerfile, FROM with 'a.test/os:${A%.2}', needs the expansion '${A%.2}'",
            "'build_args'",
        ),
        ("FROM scratch\nARG A=1\nCOPY --from=a.test/os:${A/1/2} a b\n", "the expansion '${A/1/2}'", "${NAME:-default}"),
        ("FROM scratch AS one\nFROM scratch\nCOPY --from=One:x/ a b\n", "of COPY in line 3", "the stages before it: one"),
    ],
)
def test_what_cannot_be_told_of_a_base_names_the_instruction_and_what_to_do(text: str, words: str, hint: str) -> None:
    with pytest.raises(BaseInvalid) as error:
        found(text)
    assert error.value.error == "base_image_invalid"
    assert words in error.value.message
    assert hint in str(error.value.hint)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("FROM scratch\nCOPY <<EOF /x\nhello\nEOF\n", 2),
        ("FROM a.test/os:1\nRUN true\nRUN <<-'END' sh\n\techo\n\tEND\n", 3),
        ("FROM a.test/os:1\nRUN echo $((1<<2)) && cat <<< word\n", None),
        ("# syntax=docker/dockerfile:1.4\nFROM scratch\nCOPY <<EOF /x\nhello\nEOF\n", None),
        ("# comment\n# syntax=no directive any more\nFROM scratch\nCOPY <<EOF /x\nhello\nEOF\n", 4),
    ],
)
def test_a_here_document_is_found(text: str, line: int | None) -> None:
    assert here_document(text) == line


@pytest.mark.parametrize(
    ("text", "mounts"),
    [
        ("FROM a.test/os:1\nRUN --mount=source=a,target=/a true\n", True),
        ("FROM a.test/os:1\nrun --network=none \\\n --mount=type=bind,target=/a true\n", True),
        ("FROM a.test/os:1\nRUN --mount=type=cache,target=/c --mount=type=bind,from=ctx,target=/a true\n", True),
        ("FROM a.test/os:1\nRUN --mount=type=cache,from=ctx,target=/c true\n", True),
        (
            "FROM a.test/os:1\nRUN --mount=type=cache,target=/c --mount=type=secret,id=s --mount=type=ssh --mount=type=tmpfs true\n",
            False,
        ),
        ("FROM a.test/os:1\nRUN mount --mount=type=bind\nCOPY --from=ctx a b\n", False),
    ],
)
def test_mounts_that_show_files_of_the_build_are_found(text: str, mounts: bool) -> None:
    assert mounts_files(text) is mounts
