"""fakepve, and what it leaves out: where fakepve takes a request and changes nothing, this does what Proxmox does.

Written after what is known of Proxmox's behaviour, and not held against a Proxmox, for what the driver asks for alone.
What is proved with these additions is marked so in docs/drivers/proxmox.md.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from typing import Any

from aiohttp import web
from fakepve import FakePve, PveError, TaskError, settle
from fakepve.lxc import SIZE_UNITS, format_size
from fakepve.qemu import DRIVE_KEY, NEW_DISK, drives_of, join_drive, split_drive, volume_ref, with_mac
from fakepve.server import USER, ok
from proxmox_trouble import Trouble

TOKEN = ("muster@pve!tests", "11111111-2222-3333-4444-555555555555")


class Proxmox(FakePve):
    """One cluster with a node, a storage for disks and one for files. `images`: volume → virtual size."""

    def __init__(self) -> None:
        super().__init__(host="127.0.0.1", port=0)
        self.apitokens[TOKEN[0]] = TOKEN[1]
        self.storages["local"]["content"] = "iso,vztmpl,backup,import"
        self.virtual_size = 1 << 20  # of every image that is imported
        self.hotplugs = True
        self.later: Any = None  # what high availability has queued
        self.ha_refuses = False  # high availability migrates nothing, and says nothing
        self.trouble = Trouble(self)
        self.permissions: Any = None  # the answer of access/permissions, where a test gives one
        self.backed_up: dict[int, int] = {}  # when each VM was backed up last, in epoch seconds
        self.backup_log = ["INFO: issuing guest-agent 'fs-freeze' command"]

    async def _permissions(self, v: Any, user: str) -> Any:
        return await super()._permissions(v, user) if self.permissions is None else self.permissions

    async def _nodes(self, request: Any) -> Any:
        """Proxmox tells what a node has to those alone who may audit it."""
        found = json.loads((await super()._nodes(request)).text)["data"]
        for one in found:
            if not self.allowed(request[USER], f"/nodes/{one['node']}", "Sys.Audit"):
                for key in ("cpu", "maxcpu", "mem", "maxmem", "disk", "maxdisk", "uptime"):
                    one.pop(key, None)
        return ok(found)

    @web.middleware
    async def _middleware(self, request: Any, handler: Any) -> Any:
        answer = super()._middleware
        return await self.trouble.meet(request, lambda: answer(request, handler))

    def _routes_more(self) -> list[Any]:
        qemu, node = "/nodes/{node}/qemu/{vmid}", "/nodes/{node}"
        return [
            ("PUT", f"{qemu}/resize", self._more_resize),
            ("POST", f"{qemu}/move_disk", self._more_move_disk),
            ("POST", f"{qemu}/migrate", self._more_migrate),
            ("GET", f"{node}/network", self._more_networks),
            ("POST", f"{node}/vzdump", self._more_vzdump),
            ("GET", f"{node}/vzdump/extractconfig", self._more_extract),
            ("POST", "/cluster/ha/resources", self._more_manage),
            ("DELETE", "/cluster/ha/resources/{sid}", self._more_unmanage),
        ]

    # Disks

    async def _more_resize(self, v: Any, user: str) -> Any:
        vm = self.find(v["node"], v["vmid"])
        self._check_lock(vm)
        volume, props = split_drive(vm.config[v["disk"]])
        size = int(float(v["size"][:-1]) * SIZE_UNITS[v["size"][-1]])

        async def body() -> None:
            there = self._qm_volume(volume)
            if there is None or size < there["size"]:
                raise TaskError("shrinking disks is not supported")
            there["size"] = size
            vm.config[v["disk"]] = join_drive(volume, {**props, "size": format_size(size)})

        return await self.task(vm.node, "resize", vm.vmid, user, body, vm=vm)

    async def _more_move_disk(self, v: Any, user: str) -> Any:
        vm = self.find(v["node"], v["vmid"])
        self._check_lock(vm)
        volume, props = split_drive(vm.config[v["disk"]])
        if volume_ref(volume)[0] == v["storage"]:
            raise PveError(500, "you can't move to the same storage with same format")
        if vm.snapshots and v.get("delete"):
            raise PveError(500, "you can't move a disk with snapshots and delete the source")
        self._qm_image_store(v["storage"], user)

        async def body() -> None:
            there = self._qm_volume(volume)
            made, _format = self._qm_alloc(v["storage"], vm.vmid, None, there["size"])
            vm.config[v["disk"]] = join_drive(made, props)
            if v.get("delete"):
                self._qm_free(volume)
            else:
                vm.config["unused0"] = volume

        return await self.task(vm.node, "qmmove", vm.vmid, user, body, vm=vm)

    def _qm_new_drive(self, vmid: int, key: str, value: str, default: str | None) -> Any:
        volume, props = split_drive(value := parsed(value))
        source = props.pop("import-from", None)
        if source is None:
            return super()._qm_new_drive(vmid, key, value, default)
        if self._qm_volume(source) is None:
            raise PveError(500, f"volume {source} does not exist")
        made, _format = self._qm_alloc(volume_ref(volume)[0], vmid, props.pop("format", None), self.virtual_size)
        return join_drive(made, {**props, "size": format_size(self.virtual_size)}), [made]

    async def _apply_config(self, vm: Any, user: str, p: Any) -> None:
        """New disks are made, disks that are taken off stay as unused ones, and what can be hotplugged is."""
        values = dict(p)
        for key, value in values.items():
            volume, _props = split_drive(value) if DRIVE_KEY.match(key) else ("", {})
            if volume:
                values[key] = value = parsed(value)
            if NEW_DISK.match(volume) or volume.endswith(":cloudinit"):
                self._qm_image_store(volume_ref(volume)[0] or "", user)
                values[key] = self._qm_new_drive(vm.vmid, key, value, None)[0]
            elif re.fullmatch(r"net\d+", key):
                values[key] = with_mac(value)
        gone = {key: vm.config.get(key) for key in str(values.get("delete") or "").split(",") if key}
        status, vm.status = vm.status, "stopped" if self.hotplugs else vm.status
        cold = {key: values.pop(key) for key in ("cores", "sockets", "memory", "balloon") if key in values}
        if status == "stopped":
            values, cold = {**values, **cold}, {}
        try:
            await super()._apply_config(vm, user, values)
        finally:
            vm.status = status
        vm.pending.update(cold)
        for key, value in gone.items():
            volume = split_drive(value or "")[0]
            if DRIVE_KEY.match(key) and f"vm-{vm.vmid}-" in volume:
                n = next(n for n in range(256) if f"unused{n}" not in vm.config)
                vm.config[f"unused{n}"] = volume

    async def _upload(self, request: Any) -> Any:
        """fakepve knows no content `import` yet: for a moment it is an ISO image."""
        body = await request.read()
        if b"\r\n\r\nimport\r\n" not in body:
            return await super()._upload(request)
        name = body.split(b'filename="')[2].split(b'"')[0] if body.count(b'filename="') > 1 else b""
        name = name or re.findall(rb'filename="([^"]+)"', body)[-1]
        data = body.split(b"\r\n\r\n")[-1].rsplit(b"\r\n--", 1)[0]
        storage = request.match_info["storage"]

        async def done() -> None:
            self.store_file(storage, name.decode(), len(data), "import")

        return ok(await self.task(request.match_info["node"], "imgcopy", "", "root@pam", done))

    # Placement

    async def _more_networks(self, v: Any, user: str) -> Any:
        return [{"iface": name, "type": "bridge", "active": 1} for name in ("vmbr0", "vmbr1", "vmbr9")]

    async def _more_migrate(self, v: Any, user: str) -> Any:
        vm = self.find(v["node"], v["vmid"])
        self._check_lock(vm)
        if vm.status == "running" and not v.get("online"):
            raise PveError(500, "can't migrate running VM without --online")
        if not vm.ha_managed:
            return await self.migrate(vm.vmid, v["target"], user=user)

        async def queued() -> None:
            """High availability takes note of it, and migrates some time later by a task of its own."""

            async def later() -> None:
                await self.pause(self.ha_delay)
                if not self.ha_refuses:
                    await self.migrate(vm.vmid, v["target"], user="root@pam")

            if self.time_scale:
                self.later = asyncio.ensure_future(later())
            else:
                await later()

        return await self.task(vm.node, "hamigrate", vm.vmid, user, queued, lock=False)

    async def _more_manage(self, v: Any, user: str) -> None:
        vm = self.vm(int(str(v["sid"]).partition(":")[2]))
        if vm is None:
            raise PveError(500, f"unable to create resource: '{v['sid']}' does not exist")
        vm.ha_state = v.get("state") or "started"

    async def _more_unmanage(self, v: Any, user: str) -> None:
        vm = self.vm(int(str(v["sid"]).partition(":")[2]))
        if vm is None or not vm.ha_managed:
            raise PveError(500, f"no such resource '{v['sid']}'")
        vm.ha_state = None

    # Backups

    async def _more_vzdump(self, v: Any, user: str) -> Any:
        vm = self.find(v["node"], v["vmid"])
        # Proxmox waits for its lock, so that no second has two backups of one VM, nor has it once one is deleted.
        began = self.backed_up[vm.vmid] = max(int(time.time()), self.backed_up.get(vm.vmid, 0) + 1)
        name = archive_name(vm.vmid, began)

        async def body() -> str:
            if vm.lock:
                raise TaskError(f"VM is locked ({vm.lock})")
            notes = str(v.get("notes-template") or "").replace("{{guestname}}", vm.name)
            volumes = self.storages[v["storage"]].setdefault("volumes", {})
            kept = {key: dict(self._qm_volume(volume) or {}) for key, volume, _props in drives_of(vm.config, True)}
            volumes[name] = {"content": "backup", "format": "vma.zst", "size": 1234, "vmid": vm.vmid,
                             "ctime": began, "notes": notes, "config": dict(vm.config), "disks": kept}
            return "INFO: Finished Backup of VM"

        log = ["INFO: status = " + vm.status, *(self.backup_log if vm.status == "running" else [])]
        return await self.task(vm.node, "vzdump", vm.vmid, user, body, lock=False, log=log)

    async def _more_extract(self, v: Any, user: str) -> str:
        config = dict(self._qm_volume(v["volume"])["config"])
        notes = str(config.pop("description", "")).split("\n")
        lines = ["#" + line.replace("%", "%25").replace(":", "%3A") for line in notes]
        return "\n".join([*lines, *(f"{key}: {value}" for key, value in sorted(config.items()))]) + "\n"

    async def _qm_create(self, v: Any, user: str) -> Any:
        archive = v.get("archive")
        if not archive:
            return await super()._qm_create(v, user)
        there = self._qm_volume(archive)
        if there is None:
            raise PveError(500, f"volume '{archive}' does not exist")
        if any(DRIVE_KEY.match(key) for key in v):
            raise PveError(400, "option conflicts with option 'archive'")
        config = {key: value for key, value in there["config"].items() if not key.startswith(("unused", "parent"))}
        for key, _volume, props in drives_of(config, True):
            size = there["disks"][key]["size"] / SIZE_UNITS["G"]
            left = {name: value for name, value in props.items() if name != "size"}
            config[key] = join_drive(f"{v.get('storage') or 'local-lvm'}:{size:.20f}", left)
        for key, volume, _props in drives_of(config):
            if "cloudinit" in volume:
                config[key] = f"{v.get('storage')}:cloudinit"
        config.update({key: value for key, value in v.items() if key not in ("archive", "storage", "force", "unique")})
        return await super()._qm_create({**config, "vmid": v["vmid"], "node": v["node"]}, user)


def parsed(drive: str) -> str:
    """A drive as qemu-server's parse_drive makes it: of ``bps``, in bytes, it keeps that it was there and not how many:
    ``if (my $bps = defined(delete $res->{bps}))``."""
    volume, props = split_drive(drive)
    if props.pop("bps", None) is not None:
        props["mbps"] = "0.000"
    return str(join_drive(volume, props))


def archive_name(vmid: int, began: int) -> str:
    """What vzdump calls an archive: the second is all that tells two of them apart."""
    return time.strftime(f"backup/vzdump-qemu-{vmid}-%Y_%m_%d-%H_%M_%S.vma.zst", time.gmtime(began))


class Serving:
    """A fake on an event loop of its own, in a thread."""

    def __init__(self, fake: Proxmox, certificate: str, key: str) -> None:
        self.fake, self.loop = fake, asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="fakepve", daemon=True)
        self.thread.start()
        self.call(fake.start(certificate, key))

    def call(self, coroutine: Any) -> Any:
        """What a coroutine of the fake returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def stop(self) -> None:
        self.call(settle())
        self.call(self.fake.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()
