# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fake host of the modules' tests is that of the roles', too."""

from ansible_collections.imagemode.bootc.tests.unit.plugins.modules import conftest

documents = conftest.documents
host = conftest.host
