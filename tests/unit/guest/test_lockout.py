"""Settings after which the management user could not come back are refused."""

from __future__ import annotations

import getpass
import grp
import os

import pytest
from muster.guest.host import GuestError
from muster.guest.lockout import refuse_sshd

USER = getpass.getuser()
GROUP = grp.getgrgid(os.getgid()).gr_name
OPEN = {"port": "22", "listenaddress": "0.0.0.0:22", "pubkeyauthentication": "yes",
        "authorizedkeyscommand": "/bin/keys", "permitrootlogin": "without-password"}


@pytest.mark.parametrize(("change", "words"), [
    ({"allowusers": "eve"}, "AllowUsers"),
    ({"denyusers": "eve *"}, "DenyUsers"),
    ({"allowgroups": "nobodies"}, "AllowGroups"),
    ({"denygroups": GROUP}, "DenyGroups"),
    ({"pubkeyauthentication": "no"}, "PubkeyAuthentication"),
    ({"authenticationmethods": "publickey,password"}, "AuthenticationMethods"),
    ({"forcecommand": "/bin/false"}, "ForceCommand"),
    ({"chrootdirectory": "/srv"}, "ChrootDirectory"),
    ({"port": "2222"}, "port"),
    ({"listenaddress": "127.0.0.1:22"}, "listenaddress"),
    ({"maxsessions": "0"}, "MaxSessions"),
    ({"authorizedkeyscommand": "none", "authorizedkeysfile": "/nonexistent/%u"}, "AuthorizedKeysFile"),
])
def test_refused(change, words, host):
    with pytest.raises(GuestError, match=words) as error:
        refuse_sshd({**OPEN, **change}, OPEN, USER, host)
    assert "Nothing was changed" in str(error.value)


@pytest.mark.parametrize("change", [
    {}, {"allowusers": f"eve {USER}"}, {"allowusers": f"{USER[:2]}*"}, {"allowgroups": f"x {GROUP}"},
    {"denyusers": "eve"}, {"authenticationmethods": "publickey password"}, {"maxauthtries": "2"},
])
def test_allowed(change, host):
    refuse_sshd({**OPEN, **change}, OPEN, USER, host)


def test_root_may_keep_root_out_only_when_it_is_not_root(host):
    with pytest.raises(GuestError, match="PermitRootLogin"):
        refuse_sshd({**OPEN, "permitrootlogin": "no"}, OPEN, "root", host)


def test_a_user_that_is_not_there(host):
    with pytest.raises(GuestError, match="no account"):
        refuse_sshd(OPEN, OPEN, "nobody-here", host)
