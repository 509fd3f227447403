# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report: the same rows as JSON, as CSV and as one page of HTML that needs nothing else."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .record import COLUMNS, STATES, Record

PAGE = Path(__file__).with_name("page.html")
MARK = "/*REPORT*/"


def report(records: Mapping[str, Record], time: str, title: str) -> dict[str, Any]:
    """:param records: host → its record
    :param time: when the report is made, ISO 8601 in UTC
    :returns: rows, worst state first, and what is counted over them
    """
    rows = sorted((record.as_row() for record in records.values()), key=lambda row: (STATES.index(row["state"]), row["host"]))
    digests = Counter(row["digest"] or "none" for row in rows)
    return {
        "title": title,
        "time": time,
        "hosts": len(rows),
        "states": {state: count for state in STATES if (count := sum(row["state"] == state for row in rows))},
        "digests": dict(digests.most_common()),
        "waves": _waves(rows),
        "rows": rows,
    }


def _waves(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """:returns: wave → state → number of hosts, in the order of the waves"""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        if row["wave"] is not None:
            found.setdefault(row["wave"], Counter())[row["state"]] += 1
    return {wave: dict(found[wave]) for wave in sorted(found, key=lambda wave: (len(wave), wave))}


def as_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"


def as_csv(document: Mapping[str, Any]) -> str:
    """A table with a line a host. Cells that a spreadsheet would take for a formula are quoted for it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row[column]) for column in COLUMNS] for row in document["rows"])
    # A byte that was no UTF-8 is half of a surrogate pair here: JSON escapes it, and so does this.
    return text.getvalue().encode(errors="backslashreplace").decode()


def _cell(value: Any) -> str:
    text = "" if value is None else " ".join(value) if isinstance(value, (list, tuple)) else str(value)
    # Python before 3.13 writes a carriage return without quotes, and who reads it takes what is behind it for another row.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\n")) else text


def as_html(document: Mapping[str, Any]) -> str:
    """The page with the report in it; nothing in a name or a message can end the script that it is in."""
    text = json.dumps(document, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return PAGE.read_text().replace(MARK, text, 1)
