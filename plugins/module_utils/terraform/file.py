"""The bytes of a plan or a state, read within bounds, with a sentence for each thing that is no such file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import TerraformError

MAX_SIZE = 256 << 20
STANDARD_INPUT = "standard input"
_MAKE = "write it with 'terraform show -json FILE > plan.json'"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")  # with its mark, and without


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of the file at `path`, at most 256 MiB. Raises TerraformError."""
    source = os.fspath(path)
    try:
        # Without O_NONBLOCK opening a FIFO would wait for its writer.
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no path"
        problem = f"cannot be opened ({reason}); give the path of a plan or a state in JSON"
        raise TerraformError(problem, source) from None
    try:
        status = os.fstat(descriptor)
        _regular(status, source)
        data = _all(descriptor, status.st_size)
    except OSError as error:
        raise TerraformError(f"cannot be read ({error.strerror}); look at the file system", source) from None
    finally:
        os.close(descriptor)
    if len(data) != status.st_size:
        raise TerraformError("changed while it was read; try again when it is complete", source)
    return data


def _regular(status: os.stat_result, source: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise TerraformError(f"is a directory; give a file, and {_MAKE}", source)
    if not stat.S_ISREG(status.st_mode):
        raise TerraformError(f"is a pipe or a device, not a file; {_MAKE} and give that file", source)
    if status.st_size > MAX_SIZE:
        raise TerraformError(
            f"has {status.st_size >> 20} MiB, more than the {MAX_SIZE >> 20} MiB that are read; split the plan with "
            "'terraform plan -target' or by workspace", source)
    if status.st_size == 0:
        raise TerraformError(f"is empty; {_MAKE}", source)


def _all(descriptor: int, size: int) -> bytes:
    """All of the file and one byte more, where there is one: then it grew."""
    data = os.read(descriptor, size + 1)
    while len(data) <= size:
        more = os.read(descriptor, size + 1 - len(data))
        if not more:
            break
        data += more
    return data


def checked(data: bytes, source: str) -> bytes:
    """`data` without the mark that some editors put first. Raises TerraformError for what is recognisably no JSON."""
    data = data.removeprefix(_UTF8_MARK)
    if data.startswith(b"PK\x03\x04"):
        name = Path(source).name if source != STANDARD_INPUT else "FILE"
        # The shell would empty a plan of the other's name before Terraform reads it.
        other = "plan.json" if name != "plan.json" else "plan-in-json.json"
        raise TerraformError(
            f"is a plan in Terraform's own binary form; run 'terraform show -json {name} > {other}' where the plan was "
            f"made, and give {other}", source)
    if data.startswith(_UTF16):
        raise TerraformError(
            "is UTF-16, as Windows PowerShell writes it; run 'terraform show -json FILE | Out-File -Encoding utf8 "
            "plan.json'", source)
    if data.startswith(b"\x1f\x8b"):
        raise TerraformError("is compressed; unpack it with 'gunzip' first", source)
    start = data[:4096].lstrip()
    if not start.startswith(b"{"):
        raise TerraformError(f"is not JSON; {_MAKE}", source)
    if start.startswith(b'{"@level"'):
        raise TerraformError(
            "is the log of 'terraform plan -json', not a plan; run 'terraform plan -out FILE', then 'terraform show "
            "-json FILE > plan.json'", source)
    return data
