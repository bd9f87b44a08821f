"""Facts of the host's firewall, on what ufw, nft and iptables-save really write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.guest.facts import firewall, network
from muster.guest.facts.asked import Asked

RECORDED = Path(__file__).parent / "recorded"
HEADER = "  sl  local_address rem_address   st\n"


def put(tree, name, text):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def ufw(tree):
    """A tree where ufw is on, with the rules that ufw 0.36.2 wrote."""
    put(tree, "etc/ufw/ufw.conf", "# on\nENABLED=yes\nLOGLEVEL=low\n")
    put(tree, "etc/default/ufw", 'IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\nDEFAULT_OUTPUT_POLICY="ACCEPT"\n'
                                 'DEFAULT_FORWARD_POLICY="DROP"\n')
    put(tree, "etc/ufw/user.rules", (RECORDED / "user.rules").read_text())
    put(tree, "etc/ufw/before.rules", "-A ufw-before-input -i lo -j ACCEPT\n")
    put(tree, "etc/ufw/before6.rules", "-A ufw6-before-input -i lo -j ACCEPT\n")
    return tree


def test_ufw(host, ufw):
    put(ufw, "proc/net/tcp", HEADER + "0: 00000000:0016 00000000:0000 0A\n1: 00000000:1538 00000000:0000 0A\n"
                                      "2: 0100007F:0CEA 00000000:0000 0A\n")
    put(ufw, "proc/net/udp", HEADER + "0: 00000000:0044 00000000:0000 07\n1: 00000000:1770 00000000:0000 07\n"
                                      "2: 00000000:006F 00000000:0000 07\n")
    found = firewall.facts(host, Asked({}, "root"))["firewall"]
    assert found["utility"] == "ufw"
    assert found["ipv4"] == {"input": "drop", "forward": "drop", "output": "accept", "loopback": True,
                             "unlisted": [111, 5432]}
    assert found["ipv6"]["loopback"] is False  # ::1 is refused by no rule


def test_a_port_that_is_let_out_is_not_let_in(host, ufw):
    assert firewall.ufw_family(host, "ipv4")["ports"] == {22, 2222, 80, 443, *range(6000, 6011)}


def test_a_socket_on_any_address_of_ipv6_is_open_to_ipv4_too(host, tree):
    put(tree, "proc/net/tcp6", HEADER + f"0: {'0' * 32}:0050 {'0' * 32}:0000 0A\n")
    assert network.open_ports(host, "ipv4") == network.open_ports(host, "ipv6") == {80}


NFT = json.loads((RECORDED / "nft.json").read_text())["nftables"]


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_nft(family):
    assert firewall.nft_family(NFT, family) == {
        "input": "drop", "forward": "drop", "output": "drop", "loopback": True, "ports": {22, 80, 81, 82, 123}}


@pytest.mark.parametrize(("change", "expected"), [
    (lambda item: item.get("chain", {}).get("name") != "output", {"output": "none"}),
    (lambda item: item.get("rule", {}).get("handle") != 4, {"loopback": False}),
    (lambda item: item.get("rule", {}).get("handle") != 5, {"loopback": False}),
    (lambda item: item.get("rule", {}).get("handle") != 9, {"ports": {123}}),
], ids=["no output", "lo not let in", "forged not refused", "no ports"])
def test_nft_without(change, expected):
    found = firewall.nft_family([item for item in NFT if change(item)], "ipv4")
    assert {key: found[key] for key in expected} == expected


def test_iptables():
    text = (RECORDED / "iptables-save.txt").read_text()
    assert firewall.saved_family(text, "ipv4") == {
        "input": "drop", "forward": "accept", "output": "accept", "loopback": True, "ports": {22, 80, 443}}
    assert firewall.saved_family(text.replace("-o lo", "-o eth0"), "ipv4")["loopback"] is False
    six = "-A INPUT -i lo -j ACCEPT\n-A OUTPUT -o lo -j ACCEPT\n-A INPUT -s ::1/128 -j DROP\n"
    assert firewall.saved_family(six, "ipv6")["loopback"] is True


def test_two_tools_are_several_and_none_is_none(host, ufw):
    put(ufw, "etc/systemd/system/sysinit.target.wants/nftables.service", "")
    assert firewall.facts(host, Asked({}, "root"))["firewall"] == {"in_use": ["ufw", "nftables"], "utility": "several"}
    (ufw / "etc/ufw/ufw.conf").write_text("ENABLED=no\n")
    found = firewall.facts(host, Asked({}, "root"))
    assert found["firewall"] == {"in_use": ["nftables"], "utility": "nftables"}
    assert "running guest" in found["unread"]["firewall"]  # what the kernel holds is not guessed from files
    (ufw / "etc/systemd/system/sysinit.target.wants/nftables.service").unlink()
    assert firewall.facts(host, Asked({}, "root"))["firewall"]["utility"] == "none"


def test_rules_are_permanent_when_what_is_loaded_names_every_hook(host, tree):
    put(tree, "etc/nftables.conf", 'include "/etc/nftables.d/*.nft"\n# hook output\n')
    put(tree, "etc/nftables.d/a.nft", "type filter hook input priority 0; type filter hook forward priority 0;")
    assert not firewall.nft_permanent(host)
    put(tree, "etc/nftables.d/b.nft", "type filter hook output priority 0;")
    assert firewall.nft_permanent(host)


@given(st.text("0123456789:,-x", max_size=12))
def test_ports_are_ports_or_none(text):
    assert all(0 <= port <= 65535 for port in firewall.numbers(text))
