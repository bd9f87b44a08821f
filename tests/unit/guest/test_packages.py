"""What APT and dpkg say, read from real answers and from hostile ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from muster.guest.packages import LIMIT, changes, pending

SIMULATED = """\
Reading package lists...
The following packages will be upgraded:
  libc6 linux-image-cloud-amd64 sudo
Remv exim4-base [4.96-15+deb12u7] [exim4:amd64 ]
Inst libc6 [2.36-9+deb12u7] (2.36-9+deb12u14 Debian:12.13/oldstable [amd64]) [libc-bin:amd64 ]
Inst linux-image-6.1.0-56-cloud-amd64 (6.1.192-2 Debian-Security:12/oldstable-security [amd64])
Inst linux-image-cloud-amd64 [6.1.176-1] (6.1.192-2 Debian-Security:12/oldstable-security [amd64]) []
Inst gcc-12-base:i386 [12.2.0-14] (12.2.0-14+deb12u1 Debian:12.13/oldstable [i386])
Conf libc6 (2.36-9+deb12u14 Debian:12.13/oldstable [amd64])
"""


def test_pending() -> None:
    assert [tuple(change.values()) for change in pending(SIMULATED.splitlines())] == [
        ("exim4-base", "4.96-15+deb12u7", None),
        ("libc6", "2.36-9+deb12u7", "2.36-9+deb12u14"),
        ("linux-image-6.1.0-56-cloud-amd64", None, "6.1.192-2"),
        ("linux-image-cloud-amd64", "6.1.176-1", "6.1.192-2"),
        ("gcc-12-base:i386", "12.2.0-14", "12.2.0-14+deb12u1"),
    ]


def test_changes() -> None:
    before = ["sudo\t1.9.13p3-1+deb12u2", "tzdata\t2025b-0+deb12u1", "gone\t1:2.0~rc1-1"]
    after = ["tzdata\t2025b-0+deb12u1", "sudo\t1.9.13p3-1+deb12u4", "new:amd64\t3"]
    assert changes(before, after) == [
        {"name": "gone", "from": "1:2.0~rc1-1", "to": None},
        {"name": "new:amd64", "from": None, "to": "3"},
        {"name": "sudo", "from": "1.9.13p3-1+deb12u2", "to": "1.9.13p3-1+deb12u4"},
    ]


NAMES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,20}", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9][0-9A-Za-z.+~:-]{0,20}", fullmatch=True)
INSTALLED = st.dictionaries(NAMES, VERSIONS, max_size=8)


@given(INSTALLED, INSTALLED)
def test_changes_lead_from_the_one_to_the_other(before: dict[str, str], after: dict[str, str]) -> None:
    now = dict(before)
    for change in changes([f"{n}\t{v}" for n, v in before.items()], [f"{n}\t{v}" for n, v in after.items()]):
        assert now.pop(str(change["name"]), None) == change["from"]
        if change["to"] is not None:
            now[str(change["name"])] = change["to"]
    assert now == after


@given(st.lists(st.text(max_size=60) | st.text(max_size=40).map(lambda text: f"Inst {text}"), max_size=20))
def test_what_a_hostile_guest_says_is_harmless(lines: list[str]) -> None:
    for change in [*pending(lines), *changes([], lines)]:
        assert all(value is None or (value.isascii() and value.isprintable() and " " not in value)
                   for value in change.values())  # fmt: skip


def test_an_endless_answer_is_bounded() -> None:
    endless = (f"p{number}\t1" for number in iter(int, 1))
    assert len(changes([], endless)) == 1
    assert len(pending(f"Inst p{number} (1 x)" for number in range(LIMIT + 5))) == LIMIT
