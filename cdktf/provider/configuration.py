"""A configuration as Terraform sends it: with every question about one VM again, validation, plan and apply."""

from __future__ import annotations

import functools
from typing import Any

from tf.gen import tfplugin_pb2 as pb
from tf.utils import read_dynamic_value

from . import values


class Configuration(dict[str, Any]):
    """The values of one resource. Nobody changes them."""

    @functools.cached_property
    def desired(self) -> values.Desired:
        """The VM that it asks for."""
        return values.read(self)


@functools.lru_cache(maxsize=64)  # Terraform asks about ten VMs at once
def _read(sent: bytes) -> Configuration:
    return Configuration(read_dynamic_value(pb.DynamicValue(msgpack=sent)) or {})


def read(sent: Any) -> Configuration:
    """The configuration of a request; an empty one where there is none, as for a deletion."""
    return _read(sent.msgpack)
