# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images a Containerfile builds upon: Containerfile(5), and Docker's reference of the Dockerfile."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from .._errors import ImageModeError
from .._reference import Reference, ReferenceInvalid, named_by_id

# Reserved for "no base at all".
SCRATCH = "scratch"
_DIRECTIVE = re.compile(r"^#\s*(\w+)\s*=\s*(\S+)\s*$")
_HEREDOC = re.compile(r"(?<!<)<<(-?)([\"']?)([^\s<\"']+)\2")
_VARIABLE = re.compile(r"\\(\$)|\$(?:(\w+)|\{(\w+)(?::?([-+?])((?:[^{}]|\{[^{}]*\})*))?\})")
# What is left of an expansion that is none of these: ${NAME%.x}, for example.
_UNKNOWN = re.compile(r"(?<!\\)\$\{[^}]*\}?")
# Of mounts, those that bring no files of a build along; without a type it is a bind mount.
_OWN_MOUNTS = frozenset({"type=cache", "type=secret", "type=ssh", "type=tmpfs"})


class ContainerfileInvalid(ImageModeError):
    """A Containerfile that no engine would build."""

    error = "containerfile_invalid"


class BaseInvalid(ImageModeError):
    """A base image whose name is no image reference."""

    error = "base_image_invalid"


@dataclass(frozen=True)
class Base:
    """An image that a build starts from or copies from.

    :ivar text: as the engine sees it: written in the Containerfile, variables replaced
    :ivar platform: from C(FROM --platform=…), or C(None)
    """

    text: str
    platform: str | None = None

    @property
    def reference(self) -> Reference:
        # An id is of local storage.
        return Reference.parse(f"localhost/{self.text}" if named_by_id(self.text) else self.text)

    @property
    def short(self) -> bool:
        """Whether no registry is named, so that the engine may find a local image of this name first."""
        first, slash, _rest = self.text.partition("/")
        return not (slash and (first == "localhost" or "." in first or ":" in first))


@dataclass(frozen=True)
class _Instruction:
    """:ivar line: where it begins, from 1
    :ivar end: the last of its lines, without those of a here-document
    """

    line: int
    end: int
    word: str
    rest: str
    document: bool = False


@dataclass(frozen=True)
class _Use:
    """An image or a stage that an instruction names.

    :ivar written: as it stands there
    :ivar text: with variables replaced
    """

    instruction: _Instruction
    written: str
    text: str


@dataclass
class _Stage:
    written: str
    source: _Use
    platform: str | None
    uses: list[_Use] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.written.lower()


def bases(text: str, build_args: Mapping[str, str], target: str | None = None, platform: str = "", builder: str = "") -> tuple[Base, ...]:
    """The images that the target is built from, in the order in which they are met, each once.

    Stages that the target does not use are left out, as engines leave them out.

    :param platform: C(os/architecture[/variant]) that the build is for, the value of C(TARGETPLATFORM)
    :param builder: that of the machine that builds, the value of C(BUILDPLATFORM)
    :raises ContainerfileInvalid: there is no FROM, or the target is none of its stages
    :raises BaseInvalid: a base is no image reference, or a variable in it has no value
    """
    stages = _stages(text, build_args, {**_platform_values("TARGET", platform), **_platform_values("BUILD", builder)})
    if not stages:
        raise ContainerfileInvalid("The Containerfile has no FROM instruction.", hint="Start it with 'FROM image'.")
    found: dict[Base, None] = {}
    _collect(stages, _target(stages, target), found, set())
    return tuple(found)


def stage_name(text: str, target: str) -> str:
    """:returns: the target as C(lower_stages) names it, where it has a name
    :raises ContainerfileInvalid: it is none of the stages
    """
    words = [(instruction, _words(instruction.rest)) for instruction in _instructions(text) if instruction.word == "FROM"]
    stages = [
        _Stage(names[-1] if len(names) > 2 and names[-2].upper() == "AS" else "", _Use(instruction, "", ""), None)
        for instruction, names in words
    ]
    return stages[_target(stages, target)].name or target


def lower_stages(text: str, build_args: Mapping[str, str], platform: str = "", builder: str = "") -> str:
    """The Containerfile with the names of its stages in lower case wherever they are meant, by a variable, too.

    To Docker, C(One) and C(one) are one stage. Podman 4.3 and Buildah 1.28 look for an image C(one), BuildKit for one C(One)
    (moby/buildkit issue 2003), and none of them finds a stage that only a variable names.

    :returns: the same text where there is nothing to do
    """
    stages = _stages(text, build_args, {**_platform_values("TARGET", platform), **_platform_values("BUILD", builder)})
    lines = text.splitlines(keepends=True)
    for at, stage in enumerate(stages):
        if stage.written != stage.name:
            _replace(lines, stage.source.instruction, rf"(?i:(?<=\sAS)\s+){re.escape(stage.written)}", f" {stage.name}")
        for use, before in ((stage.source, r"(?<=\s)"), *((use, r"(?<=from=)[\"']?") for use in stage.uses)):
            earlier = _earlier(stages[:at], use.text, use is not stage.source)
            name = stages[earlier].name if earlier is not None else ""
            if name and use.written != name and not use.text.isdigit():
                _replace(lines, use.instruction, f"{before}{re.escape(use.written)}", name)
    return "".join(lines)


def write_platforms(text: str, build_args: Mapping[str, str], platform: str, builder: str, names: Mapping[Base, str]) -> str:
    """The Containerfile with a platform in each FROM of an image, and with other names for images.

    Without C(--platform), Buildah 1.28 takes the one of the FROM before, and of one name it has one platform's image at a time.

    :param names: base as I(bases) has it → what to write instead
    :returns: the same text where nothing is for another platform than the target's
    """
    stages = _stages(text, build_args, {**_platform_values("TARGET", platform), **_platform_values("BUILD", builder)})
    if all(stage.platform in (None, platform) for stage in stages):
        return text
    lines = text.splitlines(keepends=True)
    for at, stage in enumerate(stages):
        uses = [(stage.source, stage.platform, r"(?<=\s)"), *((use, None, r"(?<=from=)[\"']?") for use in stage.uses)]
        for use, wanted, before in uses:
            name = names.get(Base(use.text, wanted))
            if name and _earlier(stages[:at], use.text, use is not stage.source) is None:
                _replace(lines, use.instruction, f"{before}{re.escape(use.written)}", name)
        outside = stage.source.text.lower() != SCRATCH and _earlier(stages[:at], stage.source.text, False) is None
        if outside and "--platform" not in stage.source.instruction.rest:
            _replace(lines, stage.source.instruction, "(?i:FROM)", f"FROM --platform={platform}", 1)
    return "".join(lines)


def _replace(lines: list[str], instruction: _Instruction, pattern: str, name: str, count: int = 0) -> None:
    first, behind = instruction.line - 1, instruction.end
    changed = re.sub(rf"{pattern}(?=[\s,\"']|\Z)", lambda _match: name, "".join(lines[first:behind]), count=count)
    # One text for all of its lines: their number stays, so that others keep their places.
    lines[first:behind] = [changed, *[""] * (behind - first - 1)]


def mounts_files(text: str) -> bool:
    """:returns: whether an instruction is shown files of the context, a stage or an image by C(RUN --mount)"""
    runs = (instruction for instruction in _instructions(text) if instruction.word == "RUN")
    return any(name == "--mount" and _shows_files(value) for run in runs for name, value in _flags(run))


def here_document(text: str) -> int | None:
    """:returns: the first line with a here-document that the builder itself has to know; C(None) if there is none, or if the
    Containerfile brings a builder (C(# syntax=…)) that does
    """
    directives = (_DIRECTIVE.match(line.strip()) for line in text.lstrip("\ufeff").splitlines())
    if any(directive and directive.group(1).lower() == "syntax" for directive in takewhile(bool, directives)):
        return None
    return next((instruction.line for instruction in _instructions(text) if instruction.document), None)


def _collect(stages: list[_Stage], at: int, found: dict[Base, None], done: set[int]) -> None:
    if at in done:
        return
    done.add(at)
    stage = stages[at]
    for use, platform in [(stage.source, stage.platform), *((use, None) for use in stage.uses)]:
        text = use.text
        earlier = _earlier(stages[:at], text, use is not stage.source)
        if earlier is not None:
            _collect(stages, earlier, found, done)
        elif text.lower() != SCRATCH:
            base = Base(text, platform)
            try:
                base.reference  # noqa: B018 - parsed for its error
            except ReferenceInvalid as error:
                written = "" if use.written == text else f", written as '{use.written}',"
                where = f"of {use.instruction.word} in line {use.instruction.line}"
                message = f"The base image '{text}'{written} {where} cannot be used: {error.message}"
                raise BaseInvalid(message, hint=_named(stages, at) or error.hint, base=text) from None
            found.setdefault(base)


def _named(stages: list[_Stage], at: int) -> str:
    names = ", ".join(stage.name for stage in stages[:at] if stage.name)
    return f"Name an image as registry/repository:tag, or one of the stages before it: {names}." if names else ""


def _earlier(stages: list[_Stage], text: str, numbers: bool = True) -> int | None:
    """The stage that a name or a number means, the last of its name; FROM knows no numbers."""
    if numbers and text.isdigit() and int(text) < len(stages):
        return int(text)
    for at in range(len(stages) - 1, -1, -1):
        if stages[at].name and stages[at].name == text.lower():
            return at
    return None


def _target(stages: list[_Stage], target: str | None) -> int:
    if target is None:
        return len(stages) - 1
    at = _earlier(stages, target)
    if at is None:
        names = ", ".join(stage.name for stage in stages if stage.name) or "none has a name"
        raise ContainerfileInvalid(f"The Containerfile has no stage '{target}'.", hint=f"Its stages: {names}.", target=target)
    return at


def _stages(text: str, build_args: Mapping[str, str], given: Mapping[str, str]) -> list[_Stage]:
    outer = dict(given)
    variables: dict[str, str] = {}
    stages: list[_Stage] = []
    for instruction in _instructions(text):
        if instruction.word == "ARG":
            _argument(instruction.rest, variables if stages else outer, build_args, outer)
        elif instruction.word == "FROM":
            stages.append(_from(instruction, outer))
            variables = dict(given)
        elif stages and instruction.word in ("COPY", "ADD", "RUN"):
            stages[-1].uses += [_Use(instruction, use, _expand(use, variables, instruction)) for use in _uses(instruction)]
    return stages


def _platform_values(prefix: str, platform: str) -> dict[str, str]:
    """The variables that engines set by themselves; the variant may be empty."""
    os, architecture, variant = [*platform.split("/"), "", ""][:3]
    values = {"PLATFORM": platform, "OS": os, "ARCH": architecture, "VARIANT": variant}
    return {f"{prefix}{name}": value for name, value in values.items() if value or name == "VARIANT"}


def _argument(rest: str, scope: dict[str, str], build_args: Mapping[str, str], outer: Mapping[str, str]) -> None:
    for word in _words(rest):
        name, equals, default = word.partition("=")
        if name in build_args:
            scope[name] = build_args[name]
        elif equals:
            scope[name] = _expand(default, {**scope}, None)
        elif name in outer:
            scope[name] = outer[name]


def _from(instruction: _Instruction, variables: Mapping[str, str]) -> _Stage:
    words = _words(instruction.rest)
    platform = None
    while words and words[0].startswith("--"):
        name, _equals, value = words.pop(0).partition("=")
        if name == "--platform":
            platform = _expand(value, variables, instruction) or None
    if not words or not (len(words) == 1 or (len(words) == 3 and words[1].upper() == "AS")):
        raise ContainerfileInvalid(
            f"Line {instruction.line} of the Containerfile is 'FROM {instruction.rest}', not 'FROM image [AS name]'.",
            hint="Name one image there, and after AS one name.",
        )
    source = _Use(instruction, words[0], _expand(words[0], variables, instruction))
    return _Stage(words[2] if len(words) == 3 else "", source, platform)


def _uses(instruction: _Instruction) -> Iterator[str]:
    """Images and stages of C(COPY --from=…) and C(RUN --mount=…,from=…)."""
    for name, value in _flags(instruction):
        if name == "--from":
            yield value
        elif name == "--mount":
            yield from (part[len("from=") :] for part in value.split(",") if part.startswith("from="))


def _flags(instruction: _Instruction) -> Iterator[tuple[str, str]]:
    for word in instruction.rest.split():
        if not word.startswith("--"):
            return
        name, _equals, value = word.partition("=")
        yield name, value.strip("\"'")


def _shows_files(mount: str) -> bool:
    parts = mount.split(",")
    return not _OWN_MOUNTS.intersection(parts) or any(part.startswith("from=") for part in parts)


def _expand(text: str, variables: Mapping[str, str], instruction: _Instruction | None) -> str:
    """Replace C($NAME), C(${NAME}), C(${NAME:-default}) and C(${NAME:+other}).

    :param instruction: that needs a value; without it there may be none
    :raises BaseInvalid: there is none, or another expansion, which not every engine knows
    """

    def value(match: re.Match[str]) -> str:
        escaped, bare, braced, operator, word = match.groups()
        if escaped:
            return str(escaped)
        name = bare or braced
        if operator == "-":
            return variables.get(name) or _expand(word, variables, instruction)
        if operator == "+":
            return _expand(word, variables, instruction) if variables.get(name) else ""
        if name not in variables and instruction:
            raise _valueless(text, name, instruction)
        return variables.get(name, "")

    unknown = _UNKNOWN.search(_VARIABLE.sub("", text))
    if unknown and instruction:
        raise BaseInvalid(
            f"Line {instruction.line} of the Containerfile, {instruction.word} with '{text}', needs the expansion '{unknown[0]}', which not"
            " every engine knows.",
            hint=f"Give {instruction.word} a variable that holds the whole value, and set that in 'build_args'."
            " ${NAME}, ${NAME:-default} and ${NAME:+other} are known to all.",
        )
    return _VARIABLE.sub(value, text)


def _valueless(text: str, name: str, instruction: _Instruction) -> BaseInvalid:
    if instruction.word == "FROM":
        hint = f"Set '{name}' in 'build_args', or give its ARG before the first FROM a default."
    else:
        hint = (
            f"Write 'ARG {name}' in the same stage before this line, also if it is before the first FROM already, with a default or a"
            f" value in 'build_args'. A variable of ENV does not count."
        )
    return BaseInvalid(
        f"Line {instruction.line} of the Containerfile, {instruction.word} with '{text}', needs the variable '{name}', which has no value"
        " there.",
        hint=hint,
        variable=name,
    )


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, posix=True)
    except ValueError:
        return text.split()


def _instructions(text: str) -> Iterator[_Instruction]:
    """The instructions, continuation lines joined, comments and here-documents left out."""
    lines = text.lstrip("\ufeff").splitlines()
    escape = _escape(lines)
    at = 0
    while at < len(lines):
        start = at + 1
        joined = ""
        while at < len(lines):
            line = lines[at]
            at += 1
            if line.lstrip().startswith("#") or not line.strip():
                # Between continued lines, comments and empty lines do not end the instruction.
                if joined:
                    continue
                break
            if not line.rstrip().endswith(escape):
                joined += line
                break
            joined += line.rstrip()[: -len(escape)] + " "
        word, *more = joined.split(None, 1) or [""]
        rest = more[0] if more else ""
        if not word:
            continue
        body = at
        if word.upper() in ("RUN", "COPY", "ADD"):
            for dash, _quote, end in _HEREDOC.findall(rest):
                at = _after(lines, at, end, bool(dash))
        yield _Instruction(start, body, word.upper(), rest.strip(), at > body)


def _after(lines: list[str], at: int, end: str, tabs: bool) -> int:
    """The line after a here-document; C(at) itself if it has no end, and is a shift in a shell's arithmetic."""
    for number in range(at, len(lines)):
        if (lines[number].lstrip("\t") if tabs else lines[number]) == end:
            return number + 1
    return at


def _escape(lines: list[str]) -> str:
    for line in lines:
        directive = _DIRECTIVE.match(line.strip())
        if not directive:
            break
        if directive.group(1).lower() == "escape":
            return directive.group(2)
    return "\\"
