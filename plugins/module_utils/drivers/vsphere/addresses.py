"""The addresses that a guest told of itself. What a guest says is hostile, and may be of any length."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

_MOST = 32  # NICs that are looked at, addresses of one, and addresses in all


def every(first: str, cards: Sequence[Any]) -> list[str]:
    """The addresses of the VM's NICs, `first` before all. What is no NIC of the VM, as a bridge within the guest, leads
    nowhere."""
    found = dict.fromkeys([first] if first else [])
    for card in cards[:_MOST]:
        if card.deviceConfigId >= 0:
            found |= dict.fromkeys(address for told in card.ipAddress[:_MOST] if (address := usable(told)))
    return list(found)[:_MOST]


def usable(told: Any) -> str:
    """An address, if it is one that leads anywhere; else an empty text."""
    try:
        address = ipaddress.ip_address(str(told or "")[:64])
    except ValueError:
        return ""
    out = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return "" if out else str(address)
