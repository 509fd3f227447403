# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page in a real browser, Chromium without a window; skipped where there is none."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import Record
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.report import as_html, report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEW, OLD = "sha256:" + "b" * 64, "sha256:" + "a" * 64
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten thousand hosts, one in five of them behind, in five waves."""
    records = {}
    for number in range(10_000):
        name = f"host{number}"
        records[name] = Record(name, "2026", managed=True, wanted=NEW, digest=OLD if number % 5 == 0 else NEW, wave=str(number // 2000 + 1))
    records["evil"] = Record("evil", "2026", managed=True, message="</script><img src=x onerror=alert(1)>")
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(as_html(report(records, "2026", "Fleet")))
    return path


def shown(page: Path, fragment: str) -> tuple[str, list[list[str]]]:
    """:returns: the document after the scripts ran, and the cells of its rows"""
    assert BROWSER
    document = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={page.parent}/profile",
            "--dump-dom",
            f"file://{page}#{fragment}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    body = document.partition('<tbody id="body">')[2].partition("</tbody>")[0]
    return document, [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in re.findall(r"<tr>(.*?)</tr>", body)]


def test_the_worst_hosts_come_first_and_the_charts_count(page: Path) -> None:
    document, rows = shown(page, "")
    assert [row[0] for row in rows[:3]] == ["host0", "host10", "host100"]
    assert ">drifted</span>" in rows[0][1]
    assert "10001 of 10001" in document
    assert "1600/2000" in document


def test_it_is_filtered_and_sorted_by_number(page: Path) -> None:
    document, rows = shown(page, "state=current&search=host99&sort=host&down=1")
    assert [row[0] for row in rows[:2]] == ["host9999", "host9998"]
    assert "89 of 10001" in document


def test_a_message_stays_text(page: Path) -> None:
    document, rows = shown(page, "search=evil")
    assert rows[0][-1] == "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"
    assert "<img" not in document.partition("<tbody")[2].partition("</tbody>")[0]
