# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an image is fit to be booted: by its own C(bootc container lint), or by checks of ours where it has none."""

from __future__ import annotations

from ._lint import Finding, LintFailed, Report, lint

__all__ = ["Finding", "LintFailed", "Report", "lint"]
