"""Patching real guests: updates and a new kernel, what breaks them, who is refused, and a run that is killed.

The name puts this after the main job, whose guests it uses where they are there already; alone it makes them. Updates
that break something are packages of the tests' own, which a guest builds and serves to itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Unreachable
from muster.guest.facts.system import newest
from muster.operations.session import actual_of, connected, read_fleet

DB, WEB = "e2e-db", "e2e-web"
LONG = pytest.mark.skipif(not os.environ.get("MUSTER_LONG"), reason="takes minutes more: MUSTER_LONG=1 make e2e")
FRESH = {"patch_cache_seconds": 86400}  # seconds; reading the lists anew takes a minute where the CPU is emulated

# sh -c PUBLISH sh VERSION POSTINST [FIELD]: a new version of the package e2e-probe, and APT knows of it.
PUBLISH = r"""
set -eu
build=$(mktemp -d)
mkdir -p /srv/updates "$build/DEBIAN"
cd /srv/updates
printf 'Package: e2e-probe\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n' "$1" \
  > "$build/DEBIAN/control"
printf 'Description: what a test updates\n%s' "${3:+$3
}" >> "$build/DEBIAN/control"
printf '#!/bin/sh\n%s\n' "$2" > "$build/DEBIAN/postinst"
chmod -R 755 "$build"
dpkg-deb --root-owner-group --build "$build" "e2e-probe_$1_all.deb"
for file in *.deb; do
  dpkg-deb --field "$file"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$(sha256sum < "$file" | cut -c-64)"
done > Packages
echo 'deb [trusted=yes] file:/srv/updates ./' > /etc/apt/sources.list.d/e2e.list
apt-get -qq update -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/e2e.list -o Dir::Etc::sourceparts=- \
  -o APT::Get::List-Cleanup=0
"""


@dataclass(frozen=True)
class Guest:
    """One of the fleet's guests, asked past its network."""

    lab: Any
    name: str

    def run(self, script: str, *words: str, seconds: float = 300) -> str:
        """What a script of the guest's shell says; it must succeed."""
        with connected(read_fleet(self.lab.fleet_file), [self.name]) as drivers:
            driver = drivers["lab"]
            vm = actual_of(read_fleet(self.lab.fleet_file).vm(self.name), driver)
            script = f"export DEBIAN_FRONTEND=noninteractive\n{script}"
            done = driver.execute(vm, ["/bin/sh", "-c", script, "sh", *words], seconds)
        assert done.code == 0, done.output
        return done.output.strip()

    def wait_for(self, path: str, seconds: float) -> None:
        """Wait until the file is there. While a snapshot is taken the guest is held and answers nothing."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(Unreachable):
                if self.run(f"for _ in $(seq 100); do [ -e {path} ] && exec echo there; sleep 0.2; done"):
                    return
        raise AssertionError(f"{path} is not there after {seconds} s")

    def publish(self, version: str, postinst: str = ":", field: str = "") -> None:
        """An update of the tests' package is there for the guest."""
        self.run(PUBLISH, version, postinst, field)

    def probe(self) -> str:
        """The installed version of the tests' package."""
        return self.run("dpkg-query --show --showformat '${Version}' e2e-probe")

    def points(self) -> tuple[int, int]:
        """How many snapshots and checkpoints the VM has."""
        with connected(read_fleet(self.lab.fleet_file), [self.name]) as drivers:
            driver: Any = drivers["lab"]
            vm = actual_of(read_fleet(self.lab.fleet_file).vm(self.name), driver)
            return len(driver.snapshots(vm)), len(driver.domain(vm).listAllCheckpoints(0))


@pytest.fixture(scope="module")
def guests(lab: Any) -> dict[str, Guest]:
    """Two guests, of which the web server serves; both have the tests' package in its first version."""
    played = lab.play("provision")
    assert played.code == 0, played.output[-4000:]
    played = lab.play(str(Path(__file__).with_name("services.yml")), fleet_vms=[WEB])
    assert played.code == 0, played.output[-4000:]
    found = {name: Guest(lab, name) for name in (DB, WEB)}
    for guest in found.values():
        guest.publish("1")
        guest.run("apt-get -qq install e2e-probe=1")
    return found


def newer_kernel(guest: Guest) -> str:
    """The archive's newest kernel that is newer than the running one, "" where it has none."""
    pattern = "^linux-image-[0-9]+[.][0-9]+[.][0-9].*-cloud-amd64$"  # not the packages that name one, as 6.12-cloud
    listed = guest.run(f"apt-cache --names-only search '{pattern}' | cut -d' ' -f1")
    releases = [name.removeprefix("linux-image-") for name in listed.split()]
    last = newest([guest.run("uname -r"), *releases])
    return last if last in releases and last != guest.run("uname -r") else ""


def older_sudo(guest: Guest) -> str:
    """The oldest version of sudo in the archive, "" where it has one version only."""
    versions = [line.split("|")[1].strip() for line in guest.run("apt-cache madison sudo").splitlines()]
    return versions[-1] if len(set(versions)) > 1 else ""


@LONG
def test_updates_and_a_new_kernel(guests: dict[str, Guest], lab: Any) -> None:
    web = guests[WEB]
    kept = web.points()[0]
    kernel, sudo = newer_kernel(web), older_sudo(web)
    if not kernel or not sudo:
        pytest.skip(f"the archive has no newer kernel ('{kernel}') or no older sudo ('{sudo}')")
    web.run(f"apt-get -qq --allow-downgrades install sudo={sudo}")
    web.publish("2", field=f"Depends: linux-image-{kernel}")

    played = lab.play("patch", fleet_vms=[WEB], **FRESH)
    assert played.code == 0, played.output[-4000:]
    now = web.run("dpkg-query --show --showformat '${Version}' sudo")
    assert f"VM '{WEB}' at site 'lab' is patched and restarted (e2e-probe 1 → 2, " in played.text
    assert f", linux-image-{kernel} (new) → " in played.text
    assert f", sudo {sudo} → {now}" in played.text
    assert "; it serves, " in played.text
    assert web.run("uname -r") == kernel
    assert web.points()[0] == kept


def test_a_second_run_changes_nothing(guests: dict[str, Guest], lab: Any) -> None:
    played = lab.play("patch", fleet_vms=[WEB], **FRESH)
    assert played.code == 0, played.output[-4000:]
    assert set(played.changed.values()) == {0}, played.output[-4000:]
    assert f"VM '{WEB}' at site 'lab' is up to date." in played.text


def test_one_that_does_not_serve_is_refused_and_stops_the_others(guests: dict[str, Guest], lab: Any) -> None:
    for guest in guests.values():
        guest.publish("3")
    before = {name: (guest.probe(), guest.points()) for name, guest in guests.items()}
    guests[DB].run("systemctl stop postgresql || true")
    try:
        played = lab.play("patch", **FRESH)
    finally:
        guests[DB].run("systemctl start postgresql || true")
    assert played.code != 0
    assert f"VM '{DB}' at site 'lab' did not serve before its updates, so nothing was changed: " in played.text
    assert f"VM '{WEB}' was not begun." in played.text
    assert {name: (guest.probe(), guest.points()) for name, guest in guests.items()} == before


BREAKS = {
    "its service": ("systemctl stop nginx; systemctl mask nginx", "http :80/: no answer"),
    "its way in": ("systemctl mask --now ssh.service ssh.socket", "SSH does not reach it"),
}


@pytest.mark.parametrize(("version", "what"), [("4", "its service"), pytest.param("5", "its way in", marks=LONG)])
def test_an_update_that_breaks_it_is_rolled_back(guests: dict[str, Guest], lab: Any, version: str, what: str) -> None:
    """With the bitmap of a backup on the disk, which makes QEMU refuse to revert, and snapshots of the operator's."""
    postinst, why = BREAKS[what]
    web = guests[WEB]
    kept = web.points()[0]
    backup = lab.play("backup", fleet_vms=[WEB])
    assert backup.code == 0, backup.output[-4000:]
    assert web.points() == (kept, 1)
    web.publish(version, postinst)
    before = web.probe()
    written = web.run("date +%s")

    played = lab.play("patch", fleet_vms=[WEB], patch_patience_seconds=30, **FRESH)
    assert played.code != 0
    assert f"VM '{WEB}' at site 'lab' failed after its updates (" in played.text
    assert why in played.text
    assert "was rolled back: it serves again, with all packages at their old versions." in played.text
    assert f"Updates: e2e-probe {before} → {version}." in played.text
    assert "Find the one that breaks it and hold it back (apt-mark hold), then run again." in played.text
    assert web.probe() == before
    assert web.points() == (kept, 0)
    assert int(web.run("date +%s")) > int(written) + 10, "its clock still goes by the snapshot"
    assert lab.play("health", fleet_vms=[WEB]).code == 0


@LONG
def test_a_run_that_is_killed_is_carried_on_with(guests: dict[str, Guest], lab: Any) -> None:
    """Killed while the package is being configured; the update itself goes on in the guest."""
    web = guests[WEB]
    kept = web.points()[0]
    web.publish("6", "touch /run/e2e-began; until [ -e /run/e2e-go ]; do sleep 0.2; done")
    with lab.playing("patch", fleet_vms=[WEB], **FRESH) as playing:
        web.wait_for("/run/e2e-began", 900)
        os.killpg(playing.pid, signal.SIGKILL)
    assert web.points()[0] == kept + 1
    web.run("touch /run/e2e-go")

    played = lab.play("patch", fleet_vms=[WEB], **FRESH)
    assert played.code == 0, played.output[-4000:]
    assert f"VM '{WEB}' at site 'lab' was carried on with after an interrupted run and is patched" in played.text
    assert web.probe() == "6"
    assert web.points()[0] == kept
