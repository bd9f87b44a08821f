"""The parsers of facts, on what the programs and files really say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.guest.facts import audit, kernel, logins, network, sshd, system
from muster.guest.facts.accounts import facts as account_facts
from muster.guest.facts.asked import Asked
from muster.guest.facts.files import tells_system
from muster.guest.facts.gather import gather


@pytest.mark.parametrize(("versions", "newest"), [
    (["6.1.0-9-cloud-amd64", "6.1.0-10-cloud-amd64"], "6.1.0-10-cloud-amd64"),
    (["6.1.0-37-amd64", "6.10.2-1-amd64", "5.10.0-99-amd64"], "6.10.2-1-amd64"),
])
def test_newest_kernel_is_not_the_last_by_name(versions, newest):
    assert system.newest(versions) == newest


@given(st.lists(st.from_regex(r"\d{1,2}\.\d{1,2}\.\d{1,2}-\d{1,3}(-cloud)?-amd64", fullmatch=True), min_size=1))
def test_newest_of_any(versions):
    assert system.newest(versions) in versions


def test_sshd_joins_repeated_keys():
    assert sshd.parse("Port 22\nacceptenv LANG\nacceptenv LC_*\nlistenaddress 0.0.0.0:22\n") == {
        "port": "22", "acceptenv": "LANG LC_*", "listenaddress": "0.0.0.0:22"}


def test_audit_subjects_as_auditctl_lists_them():
    lines = ["-w /etc/sudoers -p wa -k scope", "-a always,exit -F arch=b64 -S adjtimex,settimeofday -F key=time-change",
             "-a always,exit -S all -F path=/usr/bin/sudo -F perm=x -F auid>=1000 -F auid!=-1 -F key=privileged",
             "-a always,exit -F dir=/etc/apparmor/ -F perm=wa", "No rules", "-e 2"]
    assert audit.subjects(lines) == {
        "watches": ["/etc/apparmor", "/etc/sudoers", "/usr/bin/sudo"], "syscalls": ["adjtimex", "all", "settimeofday"],
        "other_users": False}
    assert audit.subjects(["-a always,exit -F arch=b64 -S execve -C uid!=euid -F auid!=-1"])["other_users"]


@pytest.mark.parametrize(("text", "expected"), [
    ("0100007F:0016", ("127.0.0.1", 22)), ("00000000:1538", ("0.0.0.0", 5432)),
    ("00000000000000000000000000000000:0050", ("::", 80)),
    ("00000000000000000000000001000000:0019", ("::1", 25)),
])
def test_addresses_of_proc_net(text, expected):
    assert network.address(text) == expected


@pytest.mark.parametrize(("text", "tells"), [
    ("Debian GNU/Linux 12 \\n \\l", True), ("Authorized use only.", False), ("kernel \\r", True), ("", False),
])
def test_banner(text, tells):
    assert tells_system(text, "debian") is tells


def test_sudo_the_last_default_holds_and_those_for_one_user_do_not_count(host, tree):
    (tree / "etc/sudoers.d/10-x").write_text('Defaults !use_pty, timestamp_timeout=5\n'
                                             'Defaults logfile="/var/log/a b"\n')
    (tree / "etc/sudoers.d/20.ignored").write_text("Defaults use_pty\n")
    (tree / "etc/sudoers.d/30-one-user").write_text("Defaults:eve passwd_tries=9\n")
    facts = logins.sudo_facts(host)
    assert "passwd_tries" not in facts["defaults"]
    assert facts["defaults"]["use_pty"] == "false"
    assert facts["defaults"]["timestamp_timeout"] == "5"
    assert facts["defaults"]["logfile"] == "/var/log/a b"
    assert facts["nopasswd"] == ["/etc/sudoers.d/90-cloud-init-users"]


def test_pam_stack(host, tree):
    (tree / "etc/pam.d/common-auth").write_text(
        "auth\trequisite\tpam_faillock.so preauth\nauth [success=1 default=ignore]\tpam_unix.so nullok\n"
        "auth\t[default=die]\tpam_faillock.so authfail # x\n#auth required pam_x.so\n")
    facts = logins.pam_facts(host)
    assert facts["faillock"]["enabled"]
    assert facts["nullok"]
    assert "pam_x" not in logins.stack(host, "common-auth")


def test_modules(host):
    facts = kernel.module_facts(host, ["udf", "cramfs", "usb-storage"])
    assert facts["udf"]["disabled"]
    assert facts["cramfs"]["loaded"]
    assert not facts["usb-storage"]["disabled"]


def test_accounts_find_what_is_planted(host, tree):
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/bash\ntoor:x:0:0::/root:/bin/sh\n"
                                     "games:x:5:60::/x:/bin/sh\neve:x:1001:1001::/home/eve:/bin/bash\n"
                                     "eva:x:1001:77::/home/eva:/bin/bash\n")
    (tree / "etc/shadow").write_text("root:*:1:0:9:7:::\ntoor::1:0:9:7:::\ngames:$y$j9T$x:1:0:9:7:::\n"
                                     "eve:!:1:0:9:7:::\n")
    (tree / "etc/group").write_text("root:x:0:\nshadow:x:42:eve\ngames:x:60:\neve:x:1001:\n")
    found = account_facts(host, Asked({}, "root"))["accounts"]
    assert found["uid_0"] == ["root", "toor"]
    assert found["empty_passwords"] == ["toor"]
    assert found["duplicate_uids"] == ["0", "1001"]
    assert found["system_with_login"] == ["games"]
    assert found["shadow_group_members"] == ["eve"]
    assert found["missing_groups"] == ["77"]
    assert "$y$" not in str(found)


def test_what_cannot_be_read_is_absent_and_named(host, tree):
    (tree / "etc/login.defs").unlink()
    (tree / "etc/login.defs").mkdir()
    facts = gather(host, {}, "root")
    assert "login_defs" not in facts
    assert "login.defs" in facts["unread"]["logins"]
    assert "services" not in facts  # no systemd in a tree: not guessed
    assert facts["sysctl"]["net.ipv4.ip_forward"] == "1"


def test_no_time_left_is_unread_not_guessed(host):
    facts = gather(host, {}, "root", seconds=-1)
    assert set(facts) == {"unread"}


def test_a_huge_file_is_refused(host, tree):
    (tree / "etc/hostname").write_bytes(b"a" * (5 << 20))
    facts = gather(host, {}, "root")
    assert "larger than" in facts["unread"]["system"]
