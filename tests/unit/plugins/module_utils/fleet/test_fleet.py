# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of a fleet: records, the journal that many write and one may be killed in, and the report."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.journal import JournalUnusable, append, read
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.record import COLUMNS, Record, after, from_info
from ansible_collections.imagemode.bootc.plugins.module_utils._fleet.report import as_csv, as_html, as_json, report
from ansible_collections.imagemode.bootc.plugins.module_utils._rollout.gate import bad

OLD, NEW, OTHER = ("sha256:" + letter * 64 for letter in "abc")


def seen(digest: str = OLD, time: str = "2026-01-01T00:00:00", **more: Any) -> Record:
    info = {
        "managed": True,
        "backend": "ostree",
        "bootc_version": "1.16.9",
        "reboot_required": False,
        "host": {"image": "registry.example.com/os:1", "booted": {"digest": digest, "version": "1"}, "staged": None},
    }
    return from_info("web1", time, info, **more)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (seen(), "unknown"),
        (seen(wanted=OLD), "current"),
        (seen(wanted=NEW), "drifted"),
        (seen(wanted=NEW, result="rolled_back"), "rolled_back"),
        (seen(wanted=NEW, result="failed"), "failed"),
        (seen(wanted=OLD, result="unreachable"), "unreachable"),
        (from_info("web1", "2026", {"managed": False}), "unmanaged"),
        (from_info("web1", "2026", {"managed": True, "reboot_required": True, "host": {}}, wanted=OLD), "reboot_required"),
    ],
)
def test_a_host_has_the_worst_state_that_fits(record: Record, state: str) -> None:
    assert record.state == state


def test_a_failure_is_over_when_the_wanted_image_runs() -> None:
    failed = seen(wanted=NEW, result="rolled_back", message="health check failed")
    assert after(failed, seen(NEW)).state == "current"
    assert after(failed, seen(OLD)).state == "rolled_back"
    assert after(failed, seen(OLD)).message == "health check failed"


def test_an_unreachable_host_is_known_as_it_was_seen_last() -> None:
    away = after(seen(wanted=OLD), from_info("web1", "2027", {}, result="unreachable", message="no route"))
    assert (away.state, away.digest, away.version, away.message) == ("unreachable", OLD, "1", "no route")
    back = after(away, seen(OLD, "2028"))
    assert (back.state, back.message) == ("current", None)


def test_a_host_that_is_lost_in_the_next_rollout_failed_in_that_one() -> None:
    away = after(seen(wanted=OLD, result="updated"), from_info("web1", "2027", {}, wanted=NEW, result="unreachable"))
    assert (away.wanted, away.drifted, bad(away, NEW), bad(away, OLD)) == (NEW, True, True, False)


def test_a_look_keeps_what_it_was_not_told(tmp_path: Path) -> None:
    booted = {"managed": True, "timer": {"active": False}, "host": {"booted": {"digest": OLD}}}
    before = from_info("web1", "2026", booted, wanted=OLD, platform_digest=NEW, wave="1", result="updated", groups=("web",))
    away = after(before, from_info("web1", "2027", {}, result="unreachable", wave="2"))
    assert (away.wave, after(before, from_info("web1", "2027", {}, result="unreachable")).wave) == ("2", "1")
    looked = after(away, seen(OLD, "2028"))
    assert (looked.wanted, looked.platform_digest, looked.wave, looked.timer) == (OLD, NEW, "2", "inactive")
    told = after(before, seen(OLD, "2028", wanted=OLD, platform_digest=OTHER, wave="3", result="failed"))
    assert (told.wanted, told.platform_digest, told.wave, told.result) == (OLD, OTHER, "3", "failed")
    append(tmp_path / "journal", before)
    assert read([tmp_path / "journal"]) == {"web1": before}


def test_the_digest_of_an_index_is_reached_by_that_of_the_platform() -> None:
    index = "sha256:" + "c" * 64
    assert seen(NEW, wanted=index).state == "drifted"
    reached = seen(NEW, wanted=index, platform_digest=NEW, result="updated")
    assert reached.state == "current"
    assert after(reached, seen(NEW)).state == "current"
    assert after(reached, seen(OLD)).state == "drifted"
    assert after(reached, seen(NEW, wanted=OLD)).state == "drifted"
    reported = after(reached, seen(NEW, wanted=NEW))
    assert (reported.state, reported.wanted, reported.result) == ("current", index, "updated"), "a rollout knows it by its index"


def test_the_journal_folds_looks_in_the_order_of_time(tmp_path: Path) -> None:
    here, there = tmp_path / "a" / "here.jsonl", tmp_path / "there.jsonl"
    append(here, seen(NEW, "2026-02"))
    append(there, seen(OLD, "2026-01", wanted=NEW, wave="2"))
    known = read([here, there, tmp_path / "none"])
    assert (known["web1"].digest, known["web1"].wanted, known["web1"].wave) == (NEW, NEW, "2")
    assert here.stat().st_mode & 0o777 == 0o600


def test_a_writer_that_was_killed_in_a_line_costs_that_line_only(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    append(journal, seen())
    with journal.open("a") as file:
        file.write('{"host": "web2", "ti')
    append(journal, seen(NEW, "2027"))
    assert list(read([journal])) == ["web1"]
    assert read([journal])["web1"].digest == NEW


def _write(path: Path, number: int) -> None:
    for line in range(20):
        append(path, Record(f"host{number}-{line}", "2026", message="x" * 5000))


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        "null",
        '{"host": "web1"}',
        '{"host": "web1", "time": 7}',
        '{"host": null, "time": "2026"}',
        '{"host": "web1", "time": "2027", "created": 20270101}',
        '{"host": "web1", "time": "2027", "digest": ["sha256:1"]}',
        '{"host": "web1", "time": "2027", "managed": "yes"}',
        '{"host": "web1", "time": "2027", "groups": "web"}',
    ],
)
def test_a_line_that_is_no_record_costs_that_line_only(tmp_path: Path, line: str) -> None:
    journal = tmp_path / "fleet.jsonl"
    append(journal, seen())
    journal.write_text(f"{line}\n{journal.read_text()}")
    assert list(read([journal])) == ["web1"]
    assert read([journal])["web1"].digest == OLD


def test_a_line_that_is_taken_in_parts_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:100]))
    append(tmp_path / "journal", seen(NEW, "2027"))
    assert [record.digest for record in read([tmp_path / "journal"]).values()] == [NEW]


def test_many_write_at_the_same_time(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    writers = [multiprocessing.Process(target=_write, args=(journal, number)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(read([journal])) == 160


def test_a_journal_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnusable, match=f"'{tmp_path}/file/journal' cannot be written") as refused:
        append(tmp_path / "file" / "journal", seen())
    assert (refused.value.error, bool(refused.value.hint)) == ("journal_unusable", True)


def test_a_journal_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(JournalUnusable, match=f"'{tmp_path}' cannot be read"):
        read([tmp_path])
    assert read([tmp_path / "none"]) == {}


def test_the_report_counts_and_puts_the_worst_first() -> None:
    records = {
        "web1": seen(NEW, wanted=NEW, wave="1"),
        "web2": Record("web2", "2026", managed=True, digest=OLD, wanted=NEW, wave="10"),
        "web3": Record("web3", "2026", result="unreachable", wave="2"),
    }
    made = report(records, "2026", "Fleet")
    assert made["states"] == {"unreachable": 1, "drifted": 1, "current": 1}
    assert list(made["states"]) == ["unreachable", "drifted", "current"]
    assert made["digests"] == {NEW: 1, OLD: 1, "none": 1}
    assert list(made["waves"]) == ["1", "2", "10"]
    assert [row["host"] for row in made["rows"]] == ["web3", "web2", "web1"]
    assert (made["title"], made["time"], made["hosts"]) == ("Fleet", "2026", 3)
    assert made["waves"] == {"1": {"current": 1}, "2": {"unreachable": 1}, "10": {"drifted": 1}}


# What is to be told of each host, and the columns in which it is.
PROMISED = {
    "booted digest": ("digest", NEW),
    "staged digest": ("staged_digest", OLD),
    "rollback digest": ("rollback_digest", OTHER),
    "version": ("version", "41.2"),
    "age": ("age_days", 9),
    "drift": ("drifted", True),
    "wanted digest": ("wanted", OLD),
    "pending reboot": ("reboot_required", True),
    "timer": ("timer", "active"),
    "backend": ("backend", "composefs"),
    "boot loader": ("bootloader", "systemd"),
    "last result": ("result", "rolled_back"),
}


@pytest.mark.parametrize("what", PROMISED)
def test_it_tells_of_each_host(what: str) -> None:
    booted = {"digest": NEW, "version": "41.2", "bootloader": "systemd", "timestamp": "2026-08-01T12:00:00.123456789Z"}
    host = {"image": "registry.example.com/os:1", "booted": booted, "staged": {"digest": OLD}, "rollback": {"digest": OTHER}}
    info = {"managed": True, "backend": "composefs", "reboot_required": True, "timer": {"active": True}, "host": host}
    looked = from_info("web1", "2026-08-11T11:00:00.000+00:00", info, wanted=OLD, result="rolled_back")
    made = report({"web1": looked}, "2026-08-11", "Fleet")
    column, value = PROMISED[what]
    assert json.loads(as_json(made))["rows"][0][column] == value
    header, row = csv.reader(as_csv(made).splitlines())
    assert dict(zip(header, row))[column] == str(value)
    columns = as_html(made).partition("const columns = ")[2].partition("];")[0]
    in_state = {"drifted", "reboot_required"}
    assert column in in_state or f'["{column}", ' in columns, "on the page, and sorted by"


def test_an_image_without_a_date_has_no_age() -> None:
    assert [seen().age_days, Record("web1", "2026", created="yesterday").age_days] == [None, None]


@pytest.mark.parametrize(
    ("message", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\n=1"),
        ("10 %\r=1\r\nfailed\n", "10 %\n=1\nfailed\n"),
    ],
)
def test_no_cell_is_a_formula_nor_the_begin_of_another_row(message: str, cell: str) -> None:
    table = as_csv(report({"web1": Record("web1", "2026", message=message)}, "2026", "Fleet"))
    _header, row = csv.reader(io.StringIO(table, newline=""))
    assert row[COLUMNS.index("message")] == cell


def test_names_and_messages_cannot_break_out_of_the_files() -> None:
    bad = '</script><script>alert(1)</script>\u2028=HYPERLINK("x")'
    made = report({bad: Record(bad, "2026", message='=cmd|"/c calc"!A1', groups=("a", "b"))}, "2026", bad)
    page = as_html(made)
    assert "alert(1)</script>" not in page
    embedded = page.partition('type="application/json">')[2].partition("</script>")[0]
    assert json.loads(embedded) == json.loads(as_json(made))
    # str.splitlines ends lines at U+2028, too, which CSV does not.
    header, row = list(csv.reader(as_csv(made).split("\n")))[:2]
    assert tuple(header) == COLUMNS
    assert dict(zip(header, row))["message"].startswith("'=")
