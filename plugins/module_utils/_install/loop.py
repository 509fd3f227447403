# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file as a block device: a loop device that ends with the run, whatever ends that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._disk.scan import loop_files
from .._runner import Runner
from .claim import Claim


@contextmanager
def attached(runner: Runner, file: str) -> Iterator[str]:
    """:returns: path of the file's loop device; one that is there is somebody's, who keeps it (in use, it is refused like any disk)"""
    there = devices(runner, file)
    device = there[0] if there else runner.run(["losetup", "--find", "--partscan", "--show", file], parsed=True).stdout.strip()
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not there:
            # As long as it is open this only marks it (LO_FLAGS_AUTOCLEAR): the kernel detaches it when nobody has it open any more.
            runner.run(["losetup", "--detach", device])
        yield device
    finally:
        os.close(descriptor)


def devices(runner: Runner, file: str) -> list[str]:
    """:returns: paths of the loop devices on a file"""
    return runner.run(["losetup", "--noheadings", "--output", "NAME", "--associated", file], parsed=True).stdout.split()


def release(runner: Runner, directory: Path) -> None:
    """End the containers that still install to files below a directory, and detach these.

    :param directory: of a run that was killed
    """
    for file in sorted(file for file in set(loop_files().values()) if file.startswith(f"{os.path.realpath(directory)}/")):
        for device in devices(runner, file):
            Claim.of_disk(runner, os.path.relpath(device, "/dev")).end_container()
        for device in devices(runner, file):
            runner.run(["losetup", "--detach", device], check=False)
