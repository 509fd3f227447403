# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking things up in a container: one shell for all of them, which prints facts and judges nothing."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping

from ._test import Test

Facts = Mapping[str, tuple[str, ...]]

# Of larger files only the beginning is compared.
CONTENT_BYTES = 1024 * 1024

# Facts are "key<TAB>value" lines; "test<TAB>number" begins those of a test.
_FUNCTIONS = r"""
say() { printf '%s\t%s\n' "$1" "$2"; }
see_file() {
  [ -L "$1" ] && say target "$(readlink "$1")"
  if [ -f "$1" ]; then say type file; elif [ -d "$1" ]; then say type directory; elif [ -e "$1" ]; then say type other; else return; fi
  say stat "$(stat -L -c '%a %u %U %g %G' "$1" 2>/dev/null)"
  [ -z "$2" ] || [ ! -f "$1" ] || say content "$(head -c BYTES "$1" | base64 | tr -d '\n')"
}
see_package() {
  if command -v rpm >/dev/null 2>&1; then
    say manager rpm
    found=$(rpm -q --queryformat '%{VERSION}-%{RELEASE}\n' "$1" 2>/dev/null) &&
      printf '%s\n' "$found" | while read -r version; do say version "$version"; done
  fi
  if command -v dpkg-query >/dev/null 2>&1; then
    say manager dpkg
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
      while read -r status version; do [ "$status" != installed ] || say version "$version"; done
  fi
}
see_service() { command -v systemctl >/dev/null 2>&1 && say manager systemd && say enabled "$(systemctl --root=/ is-enabled "$1" 2>&1)"; }
see_user() {
  say passwd "$(getent passwd "$1" 2>/dev/null || grep "^$1:" /etc/passwd)"
  say group "$(id -gn "$1" 2>/dev/null)"
  say groups "$(id -Gn "$1" 2>/dev/null)"
}
see_group() { say entry "$(getent group "$1" 2>/dev/null || grep "^$1:" /etc/group)"; }
see_kernel() {
  for directory in /usr/lib/modules/*; do
    [ ! -e "$directory/vmlinuz" ] || say kernel "${directory##*/}"
    [ ! -s "$directory/initramfs.img" ] || say initramfs "${directory##*/}"
  done
  for file in /boot/EFI/Linux/*.efi; do [ ! -e "$file" ] || say uki "$file"; done
}
see_env() { eval "[ -z \"\${$1+set}\" ] || say value \"\$$1\""; }
""".replace("BYTES", str(CONTENT_BYTES))

# The socket's line in /proc/net: local address, remote address, state. 0A is LISTEN; a bound UDP socket is in state 07.
_PORT = r"""
listens() {
  cat /proc/net/%(protocol)s /proc/net/%(protocol)s6 2>/dev/null |
    grep -q '^ *[0-9]*: [0-9A-F]*:%(port)04X [0-9A-F]*:0000 %(state)s '
}
if [ -n "$1" ]; then
  if listens; then echo 'something listened there before anything was started'; exit 1; fi
  said=/tmp/.imagemode-start-%(port)d
  own=; if command -v setsid >/dev/null 2>&1; then own=setsid; fi
  $own /bin/sh -c "$1" >"$said" 2>&1 </dev/null &
  started=$!
fi
left=%(seconds)d
until listens; do
  left=$((left - 1))
  if [ "$left" -le 0 ]; then break; fi
  if [ -n "$1" ] && ! kill -0 "$started" 2>/dev/null; then
    wait "$started"; rc=$?; started=
    # A program that went to the background is waited for.
    if [ "$rc" -ne 0 ]; then echo "what was started ended with return code $rc"; tail -n 3 "$said"; exit 1; fi
    set --
  fi
  sleep 0.2
done
rc=0; listens || rc=1
[ "$rc" -eq 0 ] || [ -z "${said:-}" ] || tail -n 3 "$said"
[ -z "${started:-}" ] || kill -9 -"$started" 2>/dev/null || kill -9 "$started" 2>/dev/null
exit "$rc"
"""
_POLLS_PER_SECOND = 5


def script(tests: Iterable[tuple[int, Test]]) -> str:
    """:param tests: each with its number
    :returns: a script for C(/bin/sh) in the container
    """
    lines = []
    for number, test in tests:
        words = [f"see_{test.kind}", test.subject, *(["content"] if "content" in test.expected else [""])]
        lines.append(f"say test {number}\n{shlex.join(words)}")
    return f"{_FUNCTIONS}\n" + "\n".join(lines) + "\nexit 0\n"


def port_script(test: Test, seconds: int) -> str:
    """:param seconds: how long the port may take to listen
    :returns: a script for C(/bin/sh); its first argument is what to start, empty if something runs already
    """
    protocol = test.expected.get("protocol") or "tcp"
    return _PORT % {
        "protocol": protocol,
        "port": int(test.subject),
        "state": "0A" if protocol == "tcp" else "07",
        "seconds": seconds * _POLLS_PER_SECOND,
    }


def read(text: str) -> dict[int, Facts]:
    """:param text: what the script printed
    :returns: number of the test → its facts
    """
    found: dict[int, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _tab, value = line.partition("\t")
        if key == "test":
            current = found[int(value)] = {}
        else:
            current.setdefault(key, []).append(value)
    return {number: {key: tuple(values) for key, values in facts.items()} for number, facts in found.items()}


def text_of(encoded: str) -> str:
    """:returns: the text of a fact that was printed in base64"""
    return base64.b64decode(encoded).decode(errors="replace")
