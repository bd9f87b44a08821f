"""``python3 -m tools.image.build``: make the guest image ready, print its path.

Built from Debian packages and cached by a hash of its inputs, or taken from ``MUSTER_IMAGE`` (path or URL) with
``MUSTER_IMAGE_SHA256``. Exit code 0: the last line of standard output is the image's path; 2: one sentence says why
not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from tools.errors import ToolError
from tools.image import cache, disk, guest, outside, rootfs, sources
from tools.progress import Progress

SPACE = 4 << 30  # bytes that a build needs for a moment
HERE = Path(__file__).parent
RECIPE = ("rootfs.py", "guest.py", "disk.py")


def inputs_hash() -> str:
    """A hash of all that decides how the image comes out: our recipe and files, the package sources, the proxy."""
    digest = hashlib.sha256()
    for path in [*(HERE / name for name in RECIPE), *sorted(p for p in guest.FILES.rglob("*") if p.is_file())]:
        digest.update(f"{path.relative_to(HERE)}\0".encode() + path.read_bytes() + b"\0")
    for source in sources.debian_sources():
        digest.update(source.line().encode())
    digest.update(repr(sorted(sources.proxies().items())).encode())
    return digest.hexdigest()[:16]


def image_path() -> Path:
    """Where the image of these inputs is or will be."""
    return cache.folder() / f"debian-12-{inputs_hash()}.qcow2"


def ensure(progress: Progress) -> Path:
    """The path of a whole image: cached, built, or from outside. Raises ToolError."""
    images = cache.folder()
    with cache.locked(images):
        _sweep(images)
        if where := os.environ.get("MUSTER_IMAGE"):
            return outside.take(where, os.environ.get("MUSTER_IMAGE_SHA256", ""), images, progress)
        image = image_path()
        state = cache.state(image)
        if state == "whole":
            return image
        if state != "missing":
            progress.say(f"the cached image {image} is {state}; it is built again.")
            image.unlink()
        _build(image, progress)
        return image


def _sweep(images: Path) -> None:
    """Remove what builds that were killed left behind; the lock says that none is running."""
    for left in images.glob(".building-*"):
        rootfs.remove(left, images / "build.log")
    for left in images.glob(".coming-*"):
        left.unlink()


def _build(image: Path, progress: Progress) -> None:
    free = shutil.disk_usage(image.parent).free
    if free < SPACE:
        raise ToolError(
            f"The image cache {image.parent} has {free >> 20} MiB free and a build needs {SPACE >> 20}: "
            "make room or set MUSTER_CACHE to a folder with more."
        )
    log = image.parent / "build.log"
    log.write_text("", encoding="utf-8")
    work = Path(tempfile.mkdtemp(prefix=".building-", dir=image.parent))
    work.chmod(0o755)  # apt's unprivileged user must reach it
    try:
        root, raw, packed = work / "root", work / "disk.raw", work / "disk.qcow2"
        rootfs.unpack(root, log, progress)
        disk.write_disk(root, raw, work, log, progress)
        disk.to_qcow2(raw, packed, log, progress)
        outside.refuse_references(packed, str(packed))
        cache.keep(packed, image)
    finally:
        rootfs.remove(work, log)
    progress.say(f"done: {image} ({image.stat().st_size >> 20} MiB)")


def _stop(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    progress = Progress("building the guest image")
    try:
        print(ensure(progress))
    except ToolError as error:
        print(f"guest image: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("guest image: interrupted; nothing half-built was kept. Run it again to build it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
