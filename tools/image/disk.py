"""Makes a folder a bootable disk: MBR, GRUB for BIOS, one ext4 partition. No loop device, no mount."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tools.image.rootfs import as_root
from tools.progress import Progress, run

SECTOR = 512
MIB = 1 << 20
SIZE = 3 << 30  # bytes; the first boot grows the partition to the disk that the VM has
PARTITION_AT = MIB  # the gap before it holds GRUB's core image, where grub-install in the guest writes it too
GRUB = Path("/usr/lib/grub/i386-pc")
GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "linux", "serial", "terminal", "search", "configfile")
# GRUB 2.06 cannot read file systems with these features.
EXT4_WITHOUT = "^metadata_csum_seed,^orphan_file"


def write_disk(root: Path, raw: Path, work: Path, log: Path, progress: Progress) -> None:
    """Write the tree ``root`` as a bootable raw disk to ``raw``; ``work`` takes GRUB's core image."""
    with raw.open("wb") as disk:
        disk.truncate(SIZE)
    blocks = (SIZE - PARTITION_AT) // 4096
    ready = f"offset={PARTITION_AT},lazy_itable_init=0,lazy_journal_init=0"
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", EXT4_WITHOUT, "-m", "1", "-L", "root"]
    argv += ["-E", ready, "-d", str(root), str(raw), str(blocks)]
    with progress.during("writing the file system"):
        run(as_root(argv), log)
    core = work / "core.img"
    prefix = "(hd0,msdos1)/boot/grub"
    run(["grub-mkimage", "-O", "i386-pc", "-p", prefix, "-o", str(core), *GRUB_MODULES], log)
    install_boot_code(raw, (GRUB / "boot.img").read_bytes(), core.read_bytes())


def install_boot_code(raw: Path, boot: bytes, core: bytes) -> None:
    """Write the MBR (GRUB's boot sector and the partition table) and the core image behind it, at sector 1."""
    if len(core) > PARTITION_AT - SECTOR:
        raise ValueError(f"GRUB's core image has {len(core)} bytes, more than the gap before the partition holds")
    with raw.open("r+b") as disk:
        disk.write(mbr(boot, SIZE // SECTOR))
        disk.seek(SECTOR)
        disk.write(core)


def mbr(boot: bytes, sectors: int) -> bytes:
    """The first sector: 440 bytes of boot code, a disk signature, one active Linux partition up to the end."""
    first = PARTITION_AT // SECTOR
    no_chs = b"\xfe\xff\xff"  # "use the block address": the partition lies beyond what cylinders can say
    entry = struct.pack("<B3sB3sII", 0x80, no_chs, 0x83, no_chs, first, sectors - first)
    return boot[:440].ljust(440, b"\0") + os.urandom(4) + b"\0\0" + entry.ljust(64, b"\0") + b"\x55\xaa"


def to_qcow2(raw: Path, qcow2: Path, log: Path, progress: Progress) -> None:
    """Convert to compressed qcow2: zstd costs seconds to write, next to nothing to read."""
    options = "compression_type=zstd,lazy_refcounts=off"
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-W", "-m", "4", "-o", options]
    with progress.during("compressing"):
        run([*argv, str(raw), str(qcow2)], log)
