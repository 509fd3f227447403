# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: Contributors to the imagemode.bootc project
"""The lab: base image, live installer, registry and machines to test against, all under one cache directory."""
