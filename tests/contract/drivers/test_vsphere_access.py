"""vSphere: who may in, whether it is vCenter at all, and which of its clusters. No secret in what is said."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fakepve.certs import make_cert
from muster.drivers.driver import Ambiguous, Denied, DriverError, NotFound, Unreachable
from muster.drivers.registry import open_site
from muster.drivers.vsphere import connection, errors, site
from muster.drivers.vsphere.credentials import account
from muster.drivers.vsphere.placement import Care
from muster.model.fleet import Site
from muster.model.planner import plan
from muster.model.vm import VM
from pyVmomi import vim, vmodl
from vsphere_proxy import Proxy
from vsphere_simulator import ACCOUNT
from vsphere_site import VsphereWorld, on_vsphere

USER, SECRET = ACCOUNT


def opened(world: VsphereWorld, **options: Any) -> None:
    """Open the site with other options, and ask it for its VMs."""
    kept = {key: value for key, value in {**world.access.options, **options}.items() if value is not None}
    driver = open_site(Site("vc", "vsphere", kept))
    try:
        driver.list()
    finally:
        driver.close()


def refused(world: VsphereWorld, kind: type[DriverError], words: str, **options: Any) -> None:
    with pytest.raises(kind, match=words) as caught:
        opened(world, **options)
    assert SECRET not in str(caught.value)
    assert caught.value.todo
    assert "\n" not in str(caught.value)


@on_vsphere
def test_a_certificate_that_nobody_vouches_for(world: VsphereWorld) -> None:
    refused(world, Unreachable, r"certificate verify failed.*sites\.vc\.tls\.ca", tls=None)


@on_vsphere
def test_a_certificate_of_another_name(world: VsphereWorld) -> None:
    """A good authority vouches for it: another one is no help."""
    uri = f"https://{world.simulator.address}".replace("127.0.0.1", "127.1").replace("localhost", "127.1")
    refused(world, Unreachable, r"mismatch.*not valid for '127\.1'.*Write a name.*into sites\.vc\.uri", uri=uri)


def test_a_certificate_must_be_of_the_host_that_was_asked_for() -> None:
    assert connection.context_of(Site("vc", "vsphere", {})).check_hostname


@on_vsphere
def test_a_pinned_certificate(world: VsphereWorld, pve_pki: tuple[str, str]) -> None:
    """The pin alone decides: neither a wrong pin with an authority that vouches, nor an unknown authority."""
    der = ssl.PEM_cert_to_DER_cert(Path(pve_pki[0]).read_text(encoding="ascii"))
    digest = hashlib.sha256(der).hexdigest().upper()
    pin = ":".join(digest[n : n + 2] for n in range(0, 64, 2))
    opened(world, tls={"fingerprint": pin})
    refused(world, Unreachable, r"not the one of tls\.fingerprint", tls={"fingerprint": "00" + pin[2:]})
    refused(world, Unreachable, "tls.fingerprint", tls={"fingerprint": "00" + pin[2:], "ca": pve_pki[0]})


@on_vsphere
def test_verification_is_turned_off_by_that_word_alone(world: VsphereWorld) -> None:
    opened(world, tls={"verify": False})
    refused(world, Unreachable, "certificate verify failed", tls={"verify": True})


@on_vsphere
def test_authorities_that_are_not_there_or_none(world: VsphereWorld, tmp_path: Path) -> None:
    refused(world, Unreachable, "no-such-ca", tls={"ca": str(tmp_path / "no-such-ca.pem")})
    (tmp_path / "empty.pem").write_text("nothing", encoding="ascii")
    refused(world, Unreachable, "empty.pem cannot be read", tls={"ca": str(tmp_path / "empty.pem")})
    other, _key, _der = make_cert(str(tmp_path), hosts=("127.0.0.1",))
    refused(world, Unreachable, "certificate verify failed", tls={"ca": other})


@on_vsphere
@pytest.mark.parametrize(("text", "words"), [
    (None, "there is no account for it.*MUSTER_CREDENTIALS_VC"),
    ("", "there is no account for it"),
    (USER, "holds no account.*user:password"),
    (f"{USER}:", "holds no account"),
    (f"{USER}\n{SECRET}", "holds no account"),
    (f"{USER}:{SECRET}x", "unable to log in: InvalidLogin"),
])
def test_accounts(world: VsphereWorld, tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "account"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    refused(world, Denied, words, credentials=str(path) if text is not None else None)


@on_vsphere
def test_the_environment_goes_before_the_file(world: VsphereWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_VC", ":".join(ACCOUNT))
    opened(world, credentials="/nonexistent")
    monkeypatch.setenv("MUSTER_CREDENTIALS_VC", "nonsense")
    refused(world, Denied, "the environment variable MUSTER_CREDENTIALS_VC holds no account")


def test_no_representation_shows_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_VC", "DOMAIN\\user:with:colons")
    found = account(Site("vc", "vsphere", {}))
    assert (found.user, found.password) == ("DOMAIN\\user", "with:colons")
    assert "colons" not in repr(found)


@pytest.mark.parametrize("uri", [None, "vcenter.example.org", "http://127.0.0.1", "https://", "https://h:x",
                                 "https://root:x@127.0.0.1", "https://h/?x=1"])
def test_no_address_of_vcenter(uri: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", ":".join(ACCOUNT))
    with pytest.raises(Unreachable, match=r"is no address of vCenter.*https://vcenter\.example\.org/datacenter/cluster"):
        open_site(Site("lab", "vsphere", {} if uri is None else {"uri": uri}))


def test_a_port_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", ":".join(ACCOUNT))
    monkeypatch.setattr(connection, "CONNECT", 0.05)
    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"https://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(Unreachable, match=f"unable to open the site at {uri}: .*timed out"):
            open_site(Site("lab", "vsphere", {"uri": uri}))


def test_an_answer_that_comes_by_drops(monkeypatch: pytest.MonkeyPatch, pve_pki: tuple[str, str]) -> None:
    monkeypatch.setenv("MUSTER_CREDENTIALS_LAB", ":".join(ACCOUNT))
    monkeypatch.setattr(connection, "_WHOLE", 0.3)
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # whoever asked has gone
                while len(asked) == 1:
                    self.wfile.write(b" ")

        def log_message(self, *_arguments: object) -> None:
            """Nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pve_pki)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever).start()
        try:
            uri = f"https://127.0.0.1:{server.server_address[1]}"
            with pytest.raises(Unreachable, match=f"open the site at {uri}: the answer was not whole after 0.3 s"):
                open_site(Site("lab", "vsphere", {"uri": uri, "tls": {"ca": pve_pki[0]}}))
        finally:
            server.shutdown()
    assert asked == ["/sdk"], "what answers so is not asked again"


@on_vsphere
@pytest.mark.parametrize(("path", "words"), [
    ("", ""),
    ("/DC0", ""),
    ("/DC0/DC0_C0", ""),
    ("/DC0/DC0_C1", r"shown no cluster 'DC0_C1' there \(did you mean 'DC0_C0'\)"),
    ("/DC1", r"shown no datacenter 'DC1' there \(did you mean 'DC0'\)"),
    ("/DC0/DC0_C0/gold", ""),
    ("/DC0/DC0_C0/bronze", "shown no resource pool 'bronze' there"),
])
def test_what_the_uri_names(world: VsphereWorld, path: str, words: str) -> None:
    access = Site("vc", "vsphere", {**world.access.options, "uri": f"https://{world.simulator.address}{path}"})
    driver: Any = open_site(access)
    try:
        if not words:
            assert driver.places.cluster(VM("a", "vc")).name == "DC0_C0"
        else:
            with pytest.raises(NotFound, match=words):
                driver.places.cluster(VM("a", "vc"))
    finally:
        driver.close()


def test_several_clusters_and_none_that_is_meant() -> None:
    class Session:
        site = "vc"

    clusters = [site.Cluster(name, None, None, {f"{name}-host": 1}, {}, {}, Care(), {}, 0) for name in ("a", "b")]
    places = site.Places(Session(), clusters)  # type: ignore[arg-type]
    with pytest.raises(Ambiguous, match=r"several clusters \(a, b\); nothing was changed.*zone"):
        places.cluster(VM("x", "vc"))
    assert places.cluster(VM("x", "vc", {"zone": "b"})).name == "b"
    assert places.cluster(VM("x", "vc", {"host": "a-host"})).name == "a"


@pytest.mark.parametrize(("fault", "kind", "words"), [
    (lambda: vim.fault.NoPermission(privilegeId="VirtualMachine.Interact.PowerOn"), "Denied",
     r"privilegeId VirtualMachine.Interact.PowerOn.*privilege in vCenter"),
    (lambda: vim.fault.NoDiskSpace(datastore="gold"), "Failed", "datastore gold.*Free space"),
    (vim.fault.TaskInProgress, "Locked", "TaskInProgress.*cancels no task"),
    (vim.fault.ConcurrentAccess, "Conflict", "ConcurrentAccess"),
    (lambda: vim.fault.DuplicateName(name="web"), "Conflict", "name web"),
    (vmodl.fault.NotSupported, "Unsupported", "NotSupported"),
    (vmodl.fault.ManagedObjectNotFound, "NotFound", "ManagedObjectNotFound"),
    (vmodl.fault.HostNotConnected, "Unreachable", "HostNotConnected"),
    (lambda: vim.fault.GenericVmConfigFault(reason="no\x1b[31m way"), "Failed", r"reason no \[31m way"),
])
def test_faults_by_name(fault: Any, kind: str, words: str) -> None:
    error = errors.error_of("do it", fault(), site="vc", vm="web")
    assert type(error).__name__ == kind
    with pytest.raises(DriverError, match=f"VM 'web' at site 'vc': unable to do it: .*{words}"):
        raise error


READS = {
    "RetrieveServiceContent", "Login", "Logout", "CreateContainerView", "DestroyView", "RetrievePropertiesEx",
    "HasPrivilegeOnEntities",
    "ContinueRetrievePropertiesEx", "FindByUuid",
}  # fmt: skip


@on_vsphere
def test_who_only_reads_says_nothing_that_changes(world: VsphereWorld, pve_pki: tuple[str, str]) -> None:
    """What check mode, the inventory and `inspect` ask; a read-only account may."""
    vm = world.made(nics=[{"network": world.network}])
    world.driver.take_snapshot(vm, "op")
    proxy = Proxy(world.simulator.address, *pve_pki)
    try:
        driver = open_site(Site("vc", "vsphere", {**world.access.options, "uri": f"https://{proxy.address}"}))
        listed = driver.list()
        driver.survey(listed)
        desired = world.wanted(cpus=4, disks=[{"size": "2 MiB"}])
        driver.check(desired)
        plan(desired, driver.get(vm.name), driver.refine)
        assert len(driver.snapshots(vm)) == 1
        driver.close()
        assert set(proxy.calls) <= READS
    finally:
        proxy.stop()
