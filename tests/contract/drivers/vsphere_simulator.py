"""The vCenter simulator: built once from Debian's govmomi with the additions of vcsim/vcenter.go, started for a test,
and stopped by its process id. The build is cached below build/ by its content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "vcsim"
BUILD = Path(__file__).parents[3] / "build" / "vcsim"
GOPATH = Path("/usr/share/gocode")
SIMULATOR = GOPATH / "src" / "github.com" / "vmware" / "govmomi" / "simulator"
ACCOUNT = ("muster@vsphere.local", "Correct:Horse battery\u00e9")

# File of the simulator → what in it gives way to what. Each must be there once, or the build fails.
CHANGES: dict[str, list[tuple[str, str]]] = {
    "property_collector.go": [
        (") RetrievePropertiesEx(ctx *Context, r", ") retrieveAll(ctx *Context, r"),
    ],
    "virtual_machine.go": [
        ("\ttask := CreateTask(runner.Reference(), \"powerOn\", runner.Run)\n",
         "\ttask := CreateTask(runner.Reference(), \"powerOn\", runner.Run)\n\tif vm.asks(task) {\n"
         "\t\treturn &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: task.Self}}\n\t}\n"),
        ("vm.Config.ExtraConfig = append(vm.Config.ExtraConfig, c)", "vm.setExtraConfig(c)"),
        ("\t\terr := vm.configure(&req.Spec)\n", "\t\tif err := vm.refuse(&req.Spec); err != nil {\n"
         "\t\t\treturn nil, err\n\t\t}\n\t\tvm.Config.ChangeVersion = uuid.New().String()\n"
         "\t\terr := vm.configure(&req.Spec)\n"),
        ("\t\tif req.Spec.Config != nil {\n\t\t\tconfig.ExtraConfig = req.Spec.Config.ExtraConfig\n"
         "\t\t\tconfig.InstanceUuid = req.Spec.Config.InstanceUuid\n\t\t}\n", ""),
        ("\t\t\treturn nil, &types.InvalidArgument{InvalidProperty: \"spec.location.pool\"}\n\t\t}\n",
         "\t\t\treturn nil, &types.InvalidArgument{InvalidProperty: \"spec.location.pool\"}\n\t\t}\n"
         "\t\tif err := hostless(pool, req.Spec.Location.Host); err != nil {\n\t\t\treturn nil, err\n\t\t}\n"),
        ("\t\tvar changes []types.PropertyChange\n\n\t\tif ref := req.Spec.Datastore; ref != nil {",
         "\t\tvar changes []types.PropertyChange\n\t\tif err := relocate(vm, &req.Spec); err != nil {\n"
         "\t\t\treturn nil, err\n\t\t}\n\n\t\tif ref := req.Spec.Datastore; ref != nil {"),
        ("\t\tdefaultDevices := object", "\t\tcloneSpec(vm, req.Spec.Config, &config)\n\t\tdefaultDevices := object"),
        ("\t\t\tswitch disk := device.(type) {\n\t\t\tcase *types.VirtualDisk:\n\t\t\t\t// TODO",
         "\t\t\tdevice = cloned(device)\n\t\t\tswitch disk := device.(type) {\n\t\t\tcase *types.VirtualDisk:\n\t\t\t\t"
         "// TODO"),
        ("Pool:   *pool,\n\t\t\tHost:   vm.Runtime.Host,", "Pool:   *pool,\n\t\t\tHost:   cloneHost(vm, req),"),
        ("\t\tsnapshot.Config = *vm.Config\n\n\t\tMap.Put(snapshot)",
         "\t\tsnapshot.Config = copyConfig(*vm.Config)\n\n\t\tMap.Put(snapshot)\n"
         "\t\tmemories[snapshot.Self] = req.Memory\n\t\tvm.freeze(snapshot.Self)"),
        ("\t\tsnapshot.createSnapshotFiles()\n", "\t\tsnapshot.createSnapshotFiles()\n\t\tvm.grow(treeItem.Id)\n"),
    ],
    "snapshot.go": [
        (") RemoveSnapshotTask(ctx *Context", ") removeUnleased(ctx *Context"),
        ('{Name: "snapshot.currentSnapshot", Val: v.Self},\n\t\t\t})\n',
         '{Name: "snapshot.currentSnapshot", Val: v.Self},\n\t\t\t})\n\t\t\tvm.revert(v)\n'),
    ],
    "resource_pool.go": [
        ("func (p *ResourcePool) ImportVApp(", "func (p *ResourcePool) importVApp("),
    ],
    "http_nfc_lease.go": [
        ("func ServeNFC(", "func serveNothing("),
        (") HttpNfcLeaseComplete(ctx *Context", ") complete(ctx *Context"),
        (") HttpNfcLeaseAbort(ctx *Context", ") abort(ctx *Context"),
        (") HttpNfcLeaseProgress(ctx *Context", ") report(ctx *Context"),
    ],
    "authorization_manager.go": [
        (") HasPrivilegeOnEntities(req", ") grantAll(req"),
    ],
    "cluster_compute_resource.go": [
        ("\t\t\tc.updateRules,\n", "\t\t\tc.updateSwitches,\n\t\t\tc.updateRules,\n"),
        ("\tconfig.DrsConfig.Enabled = types.NewBool(true)\n",
         "\tconfig.DrsConfig.Enabled, config.DasConfig.Enabled = types.NewBool(true), types.NewBool(true)\n"),
    ],
    "folder.go": [
        ("\tvm, err := NewVirtualMachine(c.ctx, c.Folder.Self, &c.req.Config)\n",
         "\tif err := twin(&c.Folder.Folder, c.req.Config.Name); err != nil {\n\t\treturn nil, err\n\t}\n"
         "\tif err := hostless(&c.req.Pool, c.req.Host); err != nil {\n\t\treturn nil, err\n\t}\n"
         "\tvm, err := NewVirtualMachine(c.ctx, c.Folder.Self, &c.req.Config)\n"),
    ],
}


def program() -> Path:
    """The simulator's program, built where the cache has none."""
    if not shutil.which("go") or not SIMULATOR.is_dir():
        raise RuntimeError("the vCenter simulator needs Go and govmomi: run python3 tools/prepare.py --tests")
    digest = hashlib.sha256(json.dumps(CHANGES, sort_keys=True).encode())
    for path in [*sorted(HERE.iterdir()), *(SIMULATOR / name for name in sorted(CHANGES))]:
        digest.update(path.read_bytes())
    folder = BUILD / digest.hexdigest()[:16]
    if not (folder / "vcsim").exists():
        _build(folder)
    return folder / "vcsim"


def _build(folder: Path) -> None:
    """About 25 s. Written beside and moved, so that two at a time do no harm."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        work = Path(scratch)
        replaced = {str(SIMULATOR / f"muster_{name}"): str(HERE / name) for name in ("vcenter.go", "nfc.go")}
        for name, changes in CHANGES.items():
            text = (SIMULATOR / name).read_text(encoding="utf-8")
            for old, new in changes:
                if text.count(old) != 1:
                    raise RuntimeError(f"{name} of govmomi is not the one that was changed: {old!r}")
                text = text.replace(old, new)
            (work / name).write_text(text, encoding="utf-8")
            replaced[str(SIMULATOR / name)] = str(work / name)
        (work / "overlay.json").write_text(json.dumps({"Replace": replaced}), encoding="utf-8")
        argv = ["go", "build", "-overlay", str(work / "overlay.json"), "-o", str(work / "vcsim"), str(HERE / "main.go")]
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": "",
                       "GOCACHE": str(BUILD / "cache")}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the vCenter simulator cannot be built:\n{done.stderr}")
        folder.mkdir(exist_ok=True)
        (work / "vcsim").replace(folder / "vcsim")


class Simulator:
    """One vCenter: `datacenters` with two datastores and `clusters` of three hosts each, and in each cluster as many
    `machines`, VMs of others.

    `api` is the version of its API, `folder` holds its datastores. `address` is ``127.0.0.1:PORT``.
    """

    def __init__(self, folder: Path, certificate: str, key: str, machines: int = 0, datacenters: int = 1,
                 clusters: int = 1, api: str = "6.5") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        argv = [str(program()), "-certificate", certificate, "-key", key, "-machines", str(machines)]
        argv += ["-datacenters", str(datacenters), "-clusters", str(clusters)]
        argv += ["-user", ACCOUNT[0], "-password", ACCOUNT[1], "-api", api]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(folder)}
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip()
        assert self.address, "the vCenter simulator did not start"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self.folder, ignore_errors=True)
