"""Facts of disks, logs, homes, root's environment, integrity, clock and desktop: what is planted is found."""

from __future__ import annotations

import os

import pytest
from muster.guest.facts import access, audit, boot, clock, desktop, disk, homes, integrity, logs, root
from muster.guest.facts.accounts import facts as account_facts
from muster.guest.facts.asked import Asked
from muster.guest.facts.software import installed
from muster.guest.host import GuestError

ASKED = Asked({}, "root")


def put(tree, name, text="", mode=0o644):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_walk_of_the_disks(host, tree):
    put(tree, "srv/open", mode=0o666)
    put(tree, "usr/bin/passwd", mode=0o4755)
    put(tree, "usr/bin/wall", mode=0o2755)
    put(tree, "srv/setuid-data", mode=0o4644)
    put(tree, "proc/open", mode=0o666)
    put(tree, "var/lib/docker/open", mode=0o666)
    (tree / "srv/shared").mkdir(mode=0o777)
    (tree / "srv/shared").chmod(0o777)
    (tree / "srv/sticky").mkdir()
    (tree / "srv/sticky").chmod(0o1777)
    (tree / "srv/link").symlink_to("open")
    found = disk.survey(host)
    assert found["world_writable"] == ["/srv/open"]
    assert found["not_sticky"] == ["/srv/shared"]
    assert found["setuid"] == ["/usr/bin/passwd", "/usr/bin/wall"]


def test_files_without_an_owner(host, tree, monkeypatch):
    put(tree, "srv/old")
    monkeypatch.setattr(disk.Strangers, "owns", lambda self, status: status.st_ino == os.stat(tree / "srv/old").st_ino)
    assert disk.survey(host)["unowned"] == ["/srv/old"]


def test_an_id_without_a_name_is_a_stranger(host):
    status = os.stat_result((0o100644, 1, 1, 1, 54321, 54321, 0, 0, 0, 0))
    assert disk.Strangers().owns(status)
    assert not disk.Strangers().owns(os.stat_result((0o100644, 1, 1, 1, 0, 0, 0, 0, 0, 0)))


def test_a_disk_that_cannot_be_walked_in_time_is_unread_and_never_half_known(host):
    with pytest.raises(GuestError, match="more files than could be looked at"):
        disk.survey(host, seconds=-1)


def test_a_disk_of_its_own_that_runs_no_setuid_programs_counts_none(host, tree):
    put(tree, "tmp/tool", mode=0o4755)
    put(tree, "proc/self/mounts", "tmpfs /tmp tmpfs rw,nosuid 0 0\n")
    (tree / "tmp").chmod(0o1777)
    assert disk.roots(host) == {"/": [], "/tmp": ["rw", "nosuid"]}


@pytest.mark.parametrize(("name", "mode", "loose"), [
    ("syslog", 0o640, False), ("syslog", 0o644, True), ("wtmp", 0o664, False), ("wtmp.1", 0o666, True),
    ("cloud-init.log", 0o644, False), ("journal/1/system.journal", 0o640, False), ("app/x.log", 0o660, True),
    ("apt/history.log", 0o644, False), ("apt/term.log", 0o644, True), ("dpkg.log.2.gz", 0o644, False),
    ("audit/audit.log", 0o666, False),  # auditd's own, judged with it
])
def test_logs(host, tree, name, mode, loose):
    put(tree, f"var/log/{name}", mode=mode)
    assert logs.facts(host, ASKED)["logs"]["loose"] == ([f"/var/log/{name}"] if loose else [])


@pytest.mark.parametrize(("text", "mode", "receives"), [
    ("$FileCreateMode 0640\n", "0640", False), ("", "0644", False),
    ('$FileCreateMode 0640\nmodule(load="builtin:omfile" fileCreateMode="0644")\n', "0644", False),
    ('module(load="imudp")\ninput(type="imudp" port="514")\n', "0644", True),
    ('# module(load="imtcp")\n', "0644", False), ("$UDPServerRun 514\n", "0644", True),
])
def test_rsyslog(host, tree, text, mode, receives):
    put(tree, "etc/rsyslog.conf", text)
    assert logs.facts(host, ASKED)["rsyslog"] == {"create_mode": mode, "receives": receives}


def test_without_rsyslog_nothing_is_said_of_it(host):
    assert "rsyslog" not in logs.facts(host, ASKED)


def test_dot_files(host, tree):
    me = os.getuid()
    put(tree, "etc/passwd", f"root:x:0:0::/root:/bin/bash\neve:x:{max(me, 1001)}:{os.getgid()}::/home/eve:/bin/bash\n"
                            "svc:x:64055:64055::/home/svc:/usr/sbin/nologin\n")
    put(tree, "home/eve/.profile")
    put(tree, "home/eve/.netrc", mode=0o644)
    put(tree, "home/eve/.forward")
    put(tree, "home/eve/.bashrc", mode=0o664)
    found = homes.facts(host, ASKED)["homes"]
    told = [line for line in found["dot_files"] if "belongs" not in line]  # whoever runs this owns them all
    assert told == ["/home/eve/.bashrc has mode 0664", "/home/eve/.forward lets others in or sends mail away",
                    "/home/eve/.netrc has mode 0644"]
    assert found["foreign"] == ([] if me >= 1001 else ["eve"])


def test_what_is_wrong_with_root_s_path(host, tree):
    put(tree, "etc/login.defs", "ENV_SUPATH\tPATH=/usr/sbin:/usr/open:/usr/file::\n")
    put(tree, "root/.bashrc", "# umask 022\nexport PATH=$PATH:.\numask 022\n")
    put(tree, "root/.profile", "umask 027\n")
    put(tree, "usr/file")
    for name, mode in (("usr/sbin", 0o755), ("usr/open", 0o777)):
        (tree / name).mkdir(parents=True)
        (tree / name).chmod(mode)
    problems = " / ".join(root.path_problems(host))
    assert "/usr/open can be written by others than root" in problems
    assert "/usr/file is not a directory" in problems
    assert problems.count("looks into the current directory") == 3  # twice of login.defs, once of .bashrc
    assert "/usr/sbin can" not in problems
    assert root.loose_umasks(host) == ["/root/.bashrc"]


@pytest.mark.parametrize(("value", "loose"), [
    ("0077", False), ("027", False), ("037", False), ("0022", True), ("u=rwx,g=rx,o=", False), ("u=rwx,g=rwx,o=", True),
])
def test_umasks(host, tree, value, loose):
    put(tree, "root/.profile", f"umask {value}\n")
    assert bool(root.loose_umasks(host)) is loose


def test_aide(host, tree):
    put(tree, "sbin/auditctl")
    put(tree, "sbin/ausearch")
    put(tree, "etc/aide/aide.conf.d/tools", "/sbin/auditctl$ p+i+n+u+g+s+b+acl+xattrs+sha512\n/sbin/ausearch p+i+n+u\n")
    put(tree, "etc/cron.d/aide", "# aide\n")
    assert integrity.aide_facts(host) == {"database": False, "scheduled": False, "unguarded": ["/sbin/ausearch"]}
    put(tree, "etc/cron.d/aide", "0 5 * * * root /usr/bin/aide --check\n")
    assert integrity.aide_facts(host)["scheduled"]


def test_files_of_auditd(host, tree):
    put(tree, "etc/audit/auditd.conf", "log_file = /var/log/audit/audit.log\n", 0o640)
    put(tree, "etc/audit/rules.d/a.rules", mode=0o644)
    put(tree, "var/log/audit/audit.log.1", mode=0o600)
    (tree / "var/log/audit").chmod(0o755)
    found = integrity.audit_files(host)
    assert found["folder"] == ["/var/log/audit"]
    assert found["config"]["loose"] == ["/etc/audit/rules.d/a.rules"]
    assert found["logs"]["loose"] == found["tools"]["loose"] == []


def test_setuid_programs_that_no_rule_watches():
    document = {"auditd": {"watches": ["/usr/bin/su"]}, "disk": {"setuid": ["/usr/bin/su", "/usr/bin/sudo"]}}
    assert audit.unwatched_programs(document) == ["/usr/bin/sudo"]
    assert audit.unwatched_programs({"auditd": {"watches": []}}) is None  # the disks were not walked: not known


@pytest.mark.parametrize(("name", "text", "found"), [
    ("etc/chrony/chrony.conf", "pool 2.debian.pool.ntp.org iburst\n", {"servers": ["2.debian.pool.ntp.org"]}),
    ("etc/chrony/sources.d/a.sources", "server ntp.example.com\n# server b\n", {"servers": ["ntp.example.com"]}),
    ("etc/chrony/conf.d/a.conf", "user root\n", {"user": "root"}),
])
def test_chrony(host, tree, name, text, found):
    put(tree, name, text)
    assert clock.chrony(host) == {"servers": [], "user": "_chrony", **found}


def test_gdm(host, tree):
    put(tree, "etc/dconf/db/gdm.d/01-banner", "[org/gnome/login-screen]\nbanner-message-enable=true\n"
                                              "# disable-user-list=true\nbanner-message-text='Go away'\n")
    put(tree, "etc/dconf/db/local.d/00-idle", "[org/gnome/desktop/session]\nidle-delay=uint32 900\n")
    put(tree, "etc/dconf/db/local.d/locks/idle", "/org/gnome/desktop/session/idle-delay\n# /x\n")
    put(tree, "etc/gdm3/daemon.conf", "[daemon]\nEnable=true\n[xdmcp]\n#Enable=true\n")
    found = desktop.facts(host, ASKED)["gdm"]
    assert found == {"settings": {"org/gnome/login-screen/banner-message-enable": "true",
                                  "org/gnome/login-screen/banner-message-text": "Go away",
                                  "org/gnome/desktop/session/idle-delay": "900"},
                     "locks": ["org/gnome/desktop/session/idle-delay"], "xdmcp": False}
    put(tree, "etc/gdm3/daemon.conf", "[xdmcp]\nEnable = true\n")
    assert desktop.xdmcp(host)


@pytest.mark.parametrize(("name", "text", "unsigned"), [
    ("etc/apt/sources.list", "deb [trusted=yes] http://deb.example.com stable main\n", True),
    ("etc/apt/sources.list", "deb [signed-by=/k.gpg] http://deb.example.com stable main\n", False),
    ("etc/apt/sources.list", "# deb [trusted=yes] http://deb.example.com stable main\n", False),
    ("etc/apt/sources.list.d/a.sources", "Types: deb\nTrusted: yes\n", True),
    ("etc/apt/apt.conf.d/90x", 'Acquire::AllowInsecureRepositories "true";\n', True),
])
def test_apt_without_signatures(host, tree, name, text, unsigned):
    put(tree, name, text)
    assert access.unsigned_sources(host) == ([f"/{name}"] if unsigned else [])


def test_a_boot_menu_asks_for_a_password_only_when_it_knows_whose(host, tree):
    linux = "menuentry x {\n linux /vmlinuz root=/dev/vda1 audit=1 audit_backlog_limit=8192\n}\n"
    put(tree, "boot/grub/grub.cfg", "password_pbkdf2 root grub.pbkdf2.x\n" + linux)
    found = boot.facts(host, ASKED)["grub"]
    assert found["password"] is False
    assert found["audit_backlog_limit"] == 8192
    put(tree, "boot/grub/grub.cfg", 'set superusers="root"\npassword_pbkdf2 root grub.pbkdf2.x\n' + linux)
    assert boot.facts(host, ASKED)["grub"]["password"] is True


def test_passwords_without_a_shell_and_root_s_lock(host, tree):
    put(tree, "etc/shells", "# shells\n/bin/bash\n/usr/sbin/nologin\n")
    put(tree, "etc/passwd", "root:x:0:0::/root:/bin/bash\nftp:x:101:101::/srv:/usr/sbin/nologin\n"
                            "odd:x:1001:1001::/home/odd:/bin/odd\neve:x:1002:1002::/home/eve:/bin/bash\n")
    put(tree, "etc/shadow", "root:!:1::::::\nftp:$y$x:1::::::\nodd:$y$x:1::::::\neve:$y$x:1::::::\n")
    found = account_facts(host, ASKED)["accounts"]
    assert found["password_without_shell"] == ["ftp", "odd"]
    assert found["nologin_is_a_shell"] == ["/usr/sbin/nologin"]
    assert (found["root_locked"], found["root_has_password"]) == (True, False)


def test_without_dpkg_no_package_is_said_to_be_absent(host):
    with pytest.raises(GuestError, match="not dpkg's"):
        installed(host)
