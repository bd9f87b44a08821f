"""The host's own firewall: which tool keeps it, what it does with what no rule names, which ports it forgot."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from ..formats import pairs
from ..host import GuestError, Host
from .asked import Asked
from .network import open_ports

HOOKS = ("input", "forward", "output")
LOOPBACK = {"ipv4": "127.0.0.0/8", "ipv6": "::1"}


def enabled(host: Host, unit: str) -> bool:
    """Whether a unit starts at boot, by the link that enabling it makes."""
    return bool(host.glob(f"/etc/systemd/system/*.wants/{unit}"))


def in_use(host: Host) -> list[str]:
    """The tools that put their rules in place at boot."""
    tools: list[str] = []
    if pairs(host.read("/etc/ufw/ufw.conf") or "", "=").get("ENABLED", "no").lower() == "yes":
        tools.append("ufw")
    if enabled(host, "nftables.service"):
        tools.append("nftables")
    if enabled(host, "netfilter-persistent.service") and host.exists("/etc/iptables/rules.v4"):
        tools.append("iptables")
    return tools


def numbers(text: str) -> set[int]:
    """Ports of ``22``, ``80,443`` or ``6000:6010``; a range that is no range is none."""
    found: set[int] = set()
    for part in text.split(","):
        first, _colon, last = part.partition(":")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), min(int(last or first), 65535) + 1))
    return found


def ufw_family(host: Host, family: str) -> dict[str, Any]:
    """One family of ufw: policies by hook, `loopback`, and the `ports` that are let in."""
    default = {key: value.strip('"').lower() for key, value in
               pairs(host.read("/etc/default/ufw") or "", "=").items()}
    six = "6" if family == "ipv6" else ""
    tuples = [line.split()[3:] for line in (host.read(f"/etc/ufw/user{six}.rules") or "").splitlines()
              if line.startswith("### tuple ###")]
    before = host.read(f"/etc/ufw/before{six}.rules") or ""
    ports: set[int] = set()
    refused = accepted = False
    for fields in tuples:
        if len(fields) < 7:
            continue
        action, protocol, port, _to, _from_port, source = fields[:6]
        # Names of profiles may stand before it, a comment after it.
        way = next((field for field in fields[6:] if re.match(r"(?:in|out)(?:_|$)", field)), "")
        if action in ("allow", "limit") and way.startswith("in") and protocol in ("tcp", "udp", "any"):
            ports |= numbers(port)
        accepted |= action == "allow" and way == "in_lo"
        refused |= action in ("deny", "reject") and source == LOOPBACK[family] and way.startswith("in")
    accepted |= bool(re.search(r"^-A ufw6?-before-input -i lo -j ACCEPT", before, re.M))
    return {**{hook: default.get(f"default_{hook}_policy".upper(), "accept") for hook in HOOKS},
            "loopback": accepted and refused, "ports": ports}


def saved_family(text: str, family: str) -> dict[str, Any]:
    """One family of iptables, of what iptables-save prints."""
    answer: dict[str, Any] = dict.fromkeys(HOOKS, "accept")
    ports: set[int] = set()
    into = out = refused = False
    for line in text.splitlines():
        policy = re.match(r":(INPUT|FORWARD|OUTPUT) (\w+)", line)
        if policy:
            answer[policy[1].lower()] = policy[2].lower()
        words = shlex.split(line) if line.startswith(("-A INPUT ", "-A OUTPUT ")) else []
        value = {flag: words[number + 1] for number, flag in enumerate(words[:-1]) if flag.startswith("-")}
        if value.get("-j") == "ACCEPT":
            into |= value.get("-A") == "INPUT" and value.get("-i") == "lo"
            out |= value.get("-A") == "OUTPUT" and value.get("-o") == "lo"
            if value.get("-A") == "INPUT":
                ports |= numbers(value.get("--dport", value.get("--dports", "")))
        elif value.get("-j") in ("DROP", "REJECT"):
            refused |= value.get("-A") == "INPUT" and value.get("-s", "").removesuffix("/128") == LOOPBACK[family]
    return {**answer, "loopback": into and out and refused, "ports": ports}


def nft_conditions(rule: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What a rule of nft's JSON matches, by name of the field, and its verdict."""
    matches: dict[str, Any] = {}
    verdict = ""
    for part in rule.get("expr", []):
        if "match" in part and part["match"].get("op") == "==":
            left = part["match"]["left"]
            field = left.get("meta", {}).get("key") or left.get("payload", {}).get("field") if isinstance(left, dict) \
                else None
            if field:
                matches[field] = part["match"]["right"]
        verdict = next((word for word in ("accept", "drop", "reject") if word in part), verdict)
    return matches, verdict


def nft_ports(right: Any) -> set[int]:
    """Ports of the right side of a match: a number, a set, a range."""
    if isinstance(right, int):
        return {right}
    if isinstance(right, dict) and "range" in right:
        return numbers(":".join(map(str, right["range"])))
    if isinstance(right, dict) and isinstance(right.get("set"), list):
        return set().union(*map(nft_ports, right["set"]))
    return set()


def nft_family(items: Iterable[Mapping[str, Any]], family: str) -> dict[str, Any]:
    """One family of nftables: the strictest policy of each hook, `loopback`, and the `ports` that are let in."""
    items = list(items)
    families = ("inet", "ip" if family == "ipv4" else "ip6")
    chains = [item["chain"] for item in items if item.get("chain", {}).get("family") in families]
    answer: dict[str, Any] = {}
    for hook in HOOKS:
        policies = [chain.get("policy", "accept") for chain in chains if chain.get("hook") == hook]
        answer[hook] = "drop" if "drop" in policies else "accept" if policies else "none"
    ports: set[int] = set()
    accepted = refused = False
    inside = {(c["family"], c["table"], c["name"]) for c in chains if c.get("hook", "input") == "input"}
    for item in items:
        rule = item.get("rule", {})
        if (rule.get("family"), rule.get("table"), rule.get("chain")) not in inside:
            continue
        matches, verdict = nft_conditions(rule)
        source = matches.get("saddr")
        if isinstance(source, dict) and "prefix" in source:
            source = f"{source['prefix'].get('addr')}/{source['prefix'].get('len')}"
        if verdict == "accept":
            accepted |= "lo" in (matches.get("iif"), matches.get("iifname"))
            ports |= nft_ports(matches.get("dport"))
        elif verdict:
            refused |= source == LOOPBACK[family]
    return {**answer, "loopback": accepted and refused, "ports": ports}


def nft_permanent(host: Host) -> bool:
    """Whether the files that nftables.service loads name a chain for each hook."""
    text = host.read("/etc/nftables.conf") or ""
    for pattern in re.findall(r'^\s*include\s+"([^"]+)"', text, re.M):
        text += "".join(host.read(path) or "" for path in host.glob(pattern))
    return all(re.search(rf"^[^#\n]*\bhook\s+{hook}\b", text, re.M) for hook in HOOKS)


def families(host: Host, tool: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What `tool` has in place: facts of its own, and those by family. Raises GuestError."""
    if tool == "ufw":
        return {}, {family: ufw_family(host, family) for family in LOOPBACK}
    if not host.live:
        raise GuestError("The rules that the kernel holds can be asked for in a running guest only.")
    if tool == "iptables":
        return {}, {family: saved_family(host.must([program]).out, family)
                    for family, program in (("ipv4", "iptables-save"), ("ipv6", "ip6tables-save"))}
    items = json.loads(host.must(["nft", "--json", "list", "ruleset"]).out).get("nftables", [])
    own = {"tables": sum("table" in item for item in items), "permanent": nft_permanent(host)}
    return own, {family: nft_family(items, family) for family in LOOPBACK}


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`firewall`: `in_use`, `utility` (one of its names, ``none`` or ``several``); of a single one also, for `ipv4`
    and `ipv6`, the policies, `loopback` (own traffic passes, forged traffic does not) and `unlisted`: ports that are
    open to others without a rule that says so.
    """
    tools = in_use(host)
    utility = tools[0] if len(tools) == 1 else "several" if tools else "none"
    answer: dict[str, Any] = {"in_use": tools, "utility": utility}
    if len(tools) == 1:
        try:
            own, by_family = families(host, utility)
        except (GuestError, ValueError) as error:
            return {"firewall": answer, "unread": {"firewall": str(error)[:500]}}
        answer.update(own)
        for family, entry in by_family.items():
            ports = entry.pop("ports")
            answer[family] = {**entry, "unlisted": sorted(open_ports(host, family) - ports)}
    return {"firewall": answer}
