# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pattern of an ignore file leaves out, as Podman 4.3, Buildah 1.28 and Docker 20.10 were seen to do it."""

from __future__ import annotations

import re
import warnings

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint import IgnoreInvalid
from ansible_collections.imagemode.bootc.plugins.module_utils._fingerprint._ignore import Rules

NAMES = (
    r"file1 file5 filea fileb filed filew filex file_ file- file. file] file[ file^ file\ file! file& file+ file* file?"
    " d1 11 a^b x/y x/ay deep/er/file1 deep/file.log"
)
PATHS = NAMES.split()


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        (r"file[\d]", "file1 file5"),
        (r"file[^\d]", r"filea fileb filed filew filex file_ file- file. file] file[ file^ file\ file! file& file+ file* file?"),
        (r"file[\w]", "file1 file5 filea fileb filed filew filex file_"),
        (r"file[\W]", r"file- file. file] file[ file^ file\ file! file& file+ file* file?"),
        (r"\d1", "11"),
        (r"\file1", ""),
        (r"file\*", "file*"),
        (r"file[\]]", "file]"),
        (r"file[\[]", "file["),
        ("file[[]", "file["),
        (r"file[\\]", "file\\"),
        (r"file[\^]", "file^"),
        ("file[a^]", "filea file^"),
        ("file[!a]", "filea file!"),
        ("file[&&a]", "filea file&"),
        (r"file[a\-b]", "filea fileb file-"),
        ("file[*]", "file]"),
        ("file[?]", ""),
        ("file[a-c]", "filea fileb"),
        ("file[^a-c]", r"file1 file5 filed filew filex file_ file- file. file] file[ file^ file\ file! file& file+ file* file?"),
        ("file[[:digit:]]", "file1 file5"),
        ("file[[:punct:]]", r"file_ file- file. file] file[ file^ file\ file! file& file+ file* file?"),
        ("file[^[:alnum:]]", r"file_ file- file. file] file[ file^ file\ file! file& file+ file* file?"),
        ("x[^a]y", "x/y"),
        ("x[/]y", "x/y"),
        ("a^b", ""),
        ("**/file1", "file1 deep/er/file1"),
        ("**er", "deep/er/file1"),
        ("deep/**", "deep/er/file1 deep/file.log"),
        ("deep/***/file1", "deep/er/file1"),
        ("**/*.log", "deep/file.log"),
        ("deep/**file1", "deep/er/file1"),
        ("x/?y", "x/ay"),
    ],
)
def test_a_pattern_leaves_out_what_engines_leave_out(pattern: str, left_out: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Python has plans for brackets within brackets
        rules = Rules(pattern)
    assert [path for path in PATHS if rules.leaves_out(path)] == left_out.split()


@pytest.mark.parametrize("pattern", ["file[", "file[]", "file[^]", "file[]a]", "file[a-]", "file[-a]", "file[b-a]", "file\\"])
def test_what_engines_refuse_is_refused(pattern: str) -> None:
    with pytest.raises(IgnoreInvalid, match=re.escape(f"has the line '{pattern}'")) as refused:
        Rules(pattern)
    assert (refused.value.error, bool(refused.value.hint)) == ("ignore_file_invalid", True)


@pytest.mark.parametrize(("pattern", "path"), [("libstdc++", "libstdc++"), ("a(b)|{c}$", "a(b)|{c}$")])
def test_signs_of_regular_expressions_that_are_none_of_patterns_are_themselves(pattern: str, path: str) -> None:
    """As in moby's patternmatcher; the engines above still took them for regular expressions."""
    assert Rules(pattern).leaves_out(path)
