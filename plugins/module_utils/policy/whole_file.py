"""Writing a file so that it is whole or as it was: beside its place, to the disk, and then moved."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_PIECE = 1 << 16


def write_whole(path: Path, pieces: Iterable[str], mode: int = 0o644) -> None:
    """Write `pieces` into the file at `path`, with the permissions `mode`. Raises OSError, and what making the pieces
    raises; then nothing was written."""
    import tempfile  # most reports go to the terminal, and this takes longer than all else here

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="", buffering=_PIECE) as stream:
            stream.writelines(pieces)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
