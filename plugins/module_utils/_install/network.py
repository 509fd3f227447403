# Copyright: Contributors to the imagemode.bootc project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Static network configuration as files: NetworkManager's keyfiles (nm-settings-keyfile(5)) or systemd.network(5)."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._errors import OptionError
from .files import PlacedFile

_INTERFACE = re.compile(r"^[A-Za-z0-9_.:-]{1,15}\Z")
_MAC = re.compile(r"^([0-9a-f]{2}:){5}[0-9a-f]{2}\Z", re.IGNORECASE)
# One domain: several would be separated by what the two programs separate them by, and a line break would begin another setting.
_DOMAIN = re.compile(r"^~?[A-Za-z0-9_.-]+\Z")
_NAMESPACE = uuid.UUID("5f5d5bd8-2f6e-4f0c-9a53-3c3a6a0a9a6e")
# What a module takes of one interface.
LINK: dict[str, Any] = {
    "interface": {"type": "str"},
    "mac": {"type": "str"},
    "dhcp": {"type": "bool", "default": False},
    "accept_ra": {"type": "bool"},
    **{name: {"type": "list", "elements": "str"} for name in ("addresses", "gateways", "dns", "search")},
    "mtu": {"type": "int"},
}
PROGRAMS = {"networkmanager": "NetworkManager", "systemd-networkd": "systemd-networkd"}


def files(links: Iterable[Mapping[str, Any]], renderer: str) -> tuple[PlacedFile, ...]:
    """:param links: C(interface) or C(mac), C(dhcp), C(accept_ra), C(addresses), C(gateways), C(dns), C(search), C(mtu)
    :param renderer: C(networkmanager) or C(systemd-networkd)
    :raises OptionError: an address that is none, or a link that cannot be told
    """
    render = _keyfile if renderer == "networkmanager" else _network
    return tuple(render(_checked(link)) for link in links)


def _checked(link: Mapping[str, Any]) -> dict[str, Any]:
    interface, mac = link.get("interface"), link.get("mac")
    if (interface is None) == (mac is None):
        raise OptionError("An entry of 'network' needs either 'interface' or 'mac'.", hint="Set one of the two.")
    if not (_INTERFACE.match(interface) if interface else _MAC.match(mac or "")):
        what = "an interface, for example eth0" if interface else 'a MAC address in quotes, for example "52:54:00:12:34:56"'
        raise OptionError(f"'{interface or mac}' in 'network' is not {what}.", hint="Correct it.")
    addresses = [_parsed(ipaddress.ip_interface, text, "an address with its prefix") for text in link.get("addresses") or ()]
    if not addresses and not link.get("dhcp"):
        raise OptionError(f"'network' gives {interface or mac} no address.", hint="Set 'addresses', or 'dhcp: true'.")
    if any("/" not in text for text in link.get("addresses") or ()):
        raise OptionError(f"An address of {interface or mac} has no prefix.", hint="Write it as 192.0.2.10/24.")
    gateways = [_parsed(ipaddress.ip_address, text, "the address of a gateway") for text in link.get("gateways") or ()]
    if len({gateway.version for gateway in gateways}) < len(gateways):
        raise OptionError(f"{interface or mac} has several gateways of a protocol in 'network'.", hint="Name one of IPv4 and one of IPv6.")
    dns = [_parsed(ipaddress.ip_address, text, "the address of a name server") for text in link.get("dns") or ()]
    for domain in link.get("search") or ():
        if not _DOMAIN.match(domain):
            raise OptionError(f"'{domain}' in 'network' is not a search domain.", hint="Write one for each entry of 'search'.")
    return {
        "interface": interface,
        "mac": mac and mac.lower(),
        "dhcp": bool(link.get("dhcp")),
        "accept_ra": link.get("accept_ra"),
        "addresses": addresses,
        "gateways": gateways,
        "dns": dns,
        "search": list(link.get("search") or ()),
        "mtu": link.get("mtu"),
    }


def _parsed(parse: Any, text: str, what: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise OptionError(f"'{text}' in 'network' is not {what}.", hint=str(error)) from error


def _name(link: Mapping[str, Any]) -> str:
    return str(link["interface"] or link["mac"].replace(":", "-"))


def _keyfile(link: Mapping[str, Any]) -> PlacedFile:
    name = _name(link)
    lines = ["[connection]", f"id={name}", f"uuid={uuid.uuid5(_NAMESPACE, name)}", "type=ethernet", "autoconnect-priority=10"]
    lines += [f"interface-name={link['interface']}"] if link["interface"] else []
    lines += ["", "[ethernet]"]
    lines += [f"mac-address={link['mac'].upper()}"] if link["mac"] else []
    lines += [f"mtu={link['mtu']}"] if link["mtu"] else []
    for version in (4, 6):
        addresses, gateways, dns = (_of(link[key], version) for key in ("addresses", "gateways", "dns"))
        if gateways and not addresses:
            # Of such a file it says that a gateway cannot be set, and has no connection at all.
            raise OptionError(
                f"The gateway {gateways[0]} of {name} has no address of its own protocol beside it, and NetworkManager takes none without.",
                hint="Add one to 'addresses', or leave the gateway out: DHCP and routers tell theirs.",
            )
        asked = link["dhcp"] or (version == 6 and link["accept_ra"])
        without = "disabled" if version == 4 else "link-local"
        lines += ["", f"[ipv{version}]", f"method={'auto' if asked else 'manual' if addresses else without}"]
        lines += [f"address{number}={address}" for number, address in enumerate(addresses, 1)]
        lines += [f"gateway={gateways[0]}"] if gateways else []
        lines += [f"dns={';'.join(map(str, dns))};"] if dns else []
        lines += [f"dns-search={';'.join(link['search'])};"] if link["search"] and (addresses or link["dhcp"]) else []
    # NetworkManager ignores a keyfile that others may read.
    return PlacedFile(f"etc/NetworkManager/system-connections/{name}.nmconnection", ("\n".join(lines) + "\n").encode(), 0o600)


def _network(link: Mapping[str, Any]) -> PlacedFile:
    lines = ["[Match]", f"Name={link['interface']}" if link["interface"] else f"MACAddress={link['mac']}"]
    lines += ["", "[Link]", f"MTUBytes={link['mtu']}"] if link["mtu"] else []
    lines += ["", "[Network]", f"DHCP={'yes' if link['dhcp'] else 'no'}"]
    lines += [f"IPv6AcceptRA={'yes' if link['accept_ra'] else 'no'}"] if link["accept_ra"] is not None else []
    lines += [f"Address={address}" for address in link["addresses"]]
    lines += [f"Gateway={gateway}" for gateway in link["gateways"]]
    lines += [f"DNS={server}" for server in link["dns"]]
    lines += [f"Domains={' '.join(link['search'])}"] if link["search"] else []
    # Before the image's own files, of which the first that matches counts.
    return PlacedFile(f"etc/systemd/network/05-{_name(link)}.network", ("\n".join(lines) + "\n").encode())


def _of(addresses: Sequence[Any], version: int) -> list[Any]:
    return [address for address in addresses if address.version == version]
