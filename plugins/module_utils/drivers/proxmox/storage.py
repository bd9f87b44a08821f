"""The storages of a site: which take what, and bringing an image to one that takes imports."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...model.units import format_size
from ..driver import NotFound, Progress
from .connection import Api, quoted
from .tasks import Tasks


@dataclass(frozen=True)
class Upload:
    """The file of an image at the site."""

    node: str
    storage: str
    file: str

    @property
    def volume(self) -> str:
        """Proxmox's name of it."""
        return f"{self.storage}:import/{self.file}"


class Storages:
    """The storages of one site."""

    def __init__(self, api: Api, tasks: Tasks) -> None:
        self.api, self.tasks = api, tasks

    def on(self, node: str, vm: str, content: str) -> list[dict[str, Any]]:
        """The storages of a node that are active and take `content` (``images``, ``backup``, ``import``)."""
        found = self.api.get(f"nodes/{node}/storage", f"look for a storage for {content}", vm, content=content)
        return [one for one in found if one.get("active") and content in str(one.get("content", "")).split(",")]

    def upload(self, node: str, path: Path, vm: str, progress: Progress) -> Upload:
        """Bring a qcow2 file to a storage of `node` that takes imports. One that is there already, under the same hash
        and of the same size, is used."""
        takers = self.on(node, vm, "import")
        if not takers:
            raise NotFound(
                f"no storage of the node '{node}' takes images to import; nothing was made",
                site=self.api.site,
                vm=vm,
                todo="Allow the content 'import' on a directory storage (pvesm set local --content …,import), or make "
                "the VM from a template",
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        there = Upload(node, str(takers[0]["storage"]), f"muster-{digest[:32]}.qcow2")
        size = path.stat().st_size
        for one in self.api.get(
            f"nodes/{node}/storage/{there.storage}/content", "look for the image", vm, content="import"
        ):
            if one.get("volid") == there.volume:
                if int(one.get("size") or 0) == size:
                    return there
                self.delete(node, there.volume, vm)  # an upload that was cut off
        progress(f"{vm}: bringing {format_size(size)} of {path.name} to {there.storage}")
        upid = self.api.upload(
            f"nodes/{node}/storage/{there.storage}/upload",
            f"upload {path.name}",
            vm,
            path,
            there.file,
            {"content": "import", "checksum": digest, "checksum-algorithm": "sha256"},
        )
        self.tasks.finish(upid, f"upload {path.name}", vm, progress)
        return there

    def delete(self, node: str, volume: str, vm: str) -> None:
        """Delete a file of ours. One that is gone is fine."""
        storage = volume.partition(":")[0]
        try:
            upid = self.api.delete(
                f"nodes/{node}/storage/{storage}/content/{quoted(volume)}", f"delete {volume}", vm
            )
            self.tasks.finish(upid, f"delete {volume}", vm)
        except NotFound:
            return
