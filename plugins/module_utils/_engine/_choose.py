# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which engine does the work."""

from __future__ import annotations

from collections.abc import Iterable

from .._errors import ImageModeError
from .._runner import Runner
from ._cli import Buildah, Engine, Podman
from ._docker import Docker

_ENGINES: tuple[type[Engine], ...] = (Podman, Buildah, Docker)
AUTO = "auto"
CHOICES = [AUTO, *(engine.program for engine in _ENGINES)]


class EngineUnsupported(ImageModeError):
    """The engine has nothing for an option; others do."""

    error = "engine_unsupported"


class EngineMissing(ImageModeError):
    """No container engine is installed, or not the one that was asked for."""

    error = "engine_missing"


def choose_engine(name: str, runner: Runner) -> Engine:
    """:param name: one of C(CHOICES); C(auto) is the first that is installed
    :raises EngineMissing: it is not installed
    """
    for engine in _ENGINES:
        if name in (AUTO, engine.program) and runner.find(engine.program):
            return engine(runner)
    wanted = " or ".join(engine.program for engine in _ENGINES) if name == AUTO else name
    raise EngineMissing(
        f"The container engine {wanted} is not installed on the machine that the task runs on.",
        hint=f"Install {wanted} there, for example with the role 'imagemode.bootc.builder', or delegate the task to a builder.",
        engine=name,
    )


def require_support(engine: Engine, options: Iterable[str]) -> None:
    """:param options: names of options that are set
    :raises EngineUnsupported: with the engines that have what is missing
    """
    for option in options:
        if option in engine.lacks:
            able = [other.program for other in _ENGINES if option not in other.lacks]
            raise EngineUnsupported(
                f"The engine {engine.program} has nothing for the option '{option}'.",
                hint=f"Leave '{option}' out, or use the engine {' or '.join(able)}.",
                option=option,
                engines=able,
            )


def require_labels(engine: Engine, names: Iterable[str]) -> None:
    """
    :param names: of labels for an image
    :raises EngineUnsupported: the engine does not take one of them
    """
    for name in names:
        if name.split() != [name] and not engine.blanks_in_labels:
            raise EngineUnsupported(
                f"The name of the label '{name}' has blanks in it, which {engine.program} takes from a Containerfile only.",
                hint=f'Write it there: LABEL "{name}"="…". Or use the engine podman or buildah.',
                option="labels",
            )
