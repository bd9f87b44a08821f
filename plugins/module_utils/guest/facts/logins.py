"""How people log in: login.defs, PAM, password quality, umask, sudo."""

from __future__ import annotations

import re
from typing import Any

from ..formats import pairs
from ..host import Host
from .asked import Asked

STACKS = ("common-auth", "common-account", "common-password", "common-session")


def stack(host: Host, name: str) -> dict[str, list[list[str]]]:
    """Active lines of a PAM stack by module: ``{"pam_unix": [["control", "argument"…]…]}``."""
    answer: dict[str, list[list[str]]] = {}
    for line in (host.read(f"/etc/pam.d/{name}") or "").splitlines():
        found = re.match(r"-?(\w+)\s+(\[[^\]]*\]|\S+)\s+(\S+)\.so(?:\s+(.*))?$", line.split("#")[0].strip())
        if found:
            answer.setdefault(found[3].rsplit("/", 1)[-1], []).append([found[2], *(found[4] or "").split()])
    return answer


def option(arguments: list[str], name: str) -> str | None:
    """Value of ``name=value`` among arguments; empty for a bare name; None where it is not given."""
    for argument in arguments:
        key, _equals, value = argument.partition("=")
        if key == name:
            return value
    return None


def pwquality_settings(host: Host) -> dict[str, str]:
    """Effective settings: the drop-ins are read after the main file. A bare name counts as ``1``."""
    values = {"minlen": "8", "minclass": "0", "difok": "1", "maxrepeat": "0", "maxsequence": "0", "dictcheck": "1",
              "enforcing": "1", "dcredit": "0", "ucredit": "0", "lcredit": "0", "ocredit": "0"}
    for path in [*host.glob("/etc/security/pwquality.conf.d/*.conf"), "/etc/security/pwquality.conf"]:
        values.update({key: value or "1" for key, value in pairs(host.read(path) or "", "=").items()})
    return values


def pam_facts(host: Host) -> dict[str, Any]:
    """`pwquality`, `faillock`, `pwhistory`, `unix`: whether each is in its stack, and what it is set to."""
    stacks = {name: stack(host, name) for name in STACKS}
    auth, password = stacks["common-auth"], stacks["common-password"]
    fail_lines = auth.get("pam_faillock", [])
    faillock = {"deny": "3", "unlock_time": "600", "fail_interval": "900", "even_deny_root": "0"}
    lines = pairs(host.read("/etc/security/faillock.conf") or "", "=")
    faillock.update({key: value or "1" for key, value in lines.items()})
    history = (password.get("pam_pwhistory") or [[]])[0]
    unix = (password.get("pam_unix") or [[]])[0]
    answer: dict[str, Any] = {
        "pwquality": {"enabled": "pam_pwquality" in password},
        "faillock": {"enabled": any("preauth" in line for line in fail_lines)
                     and any("authfail" in line for line in fail_lines), **faillock},
        "pwhistory": {"enabled": bool(history), "enforce_for_root": "enforce_for_root" in history,
                      "use_authtok": "use_authtok" in history, "remember": option(history, "remember") or "10"},
        "nullok": any("nullok" in line for lines in stacks.values() for line in lines.get("pam_unix", [])),
        "unix": {"everywhere": all("pam_unix" in lines for lines in stacks.values()),
                 "use_authtok": "use_authtok" in unix},
        "unix_remember": any(option(line, "remember") is not None for line in password.get("pam_unix", [])),
    }
    hashes = [word for word in unix if word in ("yescrypt", "gost_yescrypt", "sha512", "sha256", "blowfish", "md5",
                                                "bigcrypt")]
    if hashes:
        answer["hash"] = hashes[0]
    if answer["pwquality"]["enabled"]:
        answer["pwquality"].update(pwquality_settings(host))
    return answer


def sudo_facts(host: Host) -> dict[str, Any]:
    """`defaults` (last wins; flags are "true" or "false"), `nopasswd` and `no_authenticate` files."""
    defaults: dict[str, str] = {}
    nopasswd: list[str] = []
    no_authenticate: list[str] = []
    paths = ["/etc/sudoers", *(p for p in host.glob("/etc/sudoers.d/*")
                               if "." not in p.rsplit("/", 1)[-1] and not p.endswith("~"))]
    for path in paths:
        for line in re.sub(r"\\\n", " ", host.read(path) or "").splitlines():
            line = line.split("#")[0].strip() if not line.startswith("#include") else ""
            if re.match(r"Defaults\s", line):
                for item in re.findall(r'[!\w]+(?:\s*[+-]?=\s*(?:"[^"]*"|[^,]*))?', line[len("Defaults"):]):
                    key, equals, value = item.partition("=")
                    key = key.strip()
                    if equals:
                        defaults[key.rstrip("+- ")] = value.strip().strip('"')
                    elif key:
                        defaults[key.lstrip("!")] = "false" if key.startswith("!") else "true"
            if "NOPASSWD:" in line:
                nopasswd.append(path)
            if "!authenticate" in line:
                no_authenticate.append(path)
    return {"defaults": defaults, "nopasswd": sorted(set(nopasswd)), "no_authenticate": sorted(set(no_authenticate))}


def shell_facts(host: Host) -> dict[str, Any]:
    """`umask` and `tmout` that a login shell ends up with, as far as files tell."""
    answer: dict[str, Any] = {}
    for path in ["/etc/profile", *host.glob("/etc/profile.d/*.sh")]:
        for line in (host.read(path) or "").splitlines():
            line = line.strip()
            if line.startswith("#"):
                continue
            umask = re.match(r"umask\s+([0-7]{3,4})$", line)
            if umask:
                answer["umask"] = umask[1]
            tmout = re.search(r"\bTMOUT=(\d+)", line)
            if tmout:
                answer["tmout"] = int(tmout[1])
    return answer


def facts(host: Host, asked: Asked) -> dict[str, Any]:
    """`login_defs`, `pam`, `sudo`, `shell`, `useradd`."""
    answer: dict[str, Any] = {"pam": pam_facts(host), "shell": shell_facts(host)}
    login_defs = host.read("/etc/login.defs")
    if login_defs is not None:
        answer["login_defs"] = pairs(login_defs)
    if host.exists("/etc/sudoers"):
        answer["sudo"] = sudo_facts(host)
    useradd = pairs(host.read("/etc/default/useradd") or "", "=")
    answer["useradd"] = {"inactive": int(useradd.get("INACTIVE", "-1") or "-1")}
    su = stack(host, "su").get("pam_wheel", [])
    answer["su"] = {"restricted": any("use_uid" in line and line[0] in ("required", "requisite") for line in su)}
    return answer
