"""A site as somebody wrote it, and whether a VM names only what the site has: the same for the fleet file and for the
provider of Terraform."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from typing import Any

from .errors import ModelError, Path, nearest, show
from .fleet_fields import SITE_FIELDS
from .normal import layer, without_unset

Problems = list[ModelError]
VAULT = "vault:"  # how credentials that are no file begin


def read_site(value: object, path: Path, problems: Problems, folder: str) -> tuple[str, dict[str, Any]]:
    """Platform and options of one site; relative paths begin at `folder`. What is wrong goes into `problems`."""
    options = without_unset(layer(value, SITE_FIELDS, path, problems))
    for image, where in options.get("images", {}).items():
        if "url" in where and "path" not in where and "sha256" not in where:
            problems.append(ModelError("'sha256' is missing; an image from a URL needs it", (*path, "images", image)))
        if "path" in where:
            where["path"] = beside(where["path"], folder)
    for holder, key in ((options.get("ssh"), "key"), (options.get("tls"), "ca"), (options, "credentials"),
                        (options, "repository")):
        if holder and key in holder and not (key == "credentials" and holder[key].startswith(VAULT)):
            holder[key] = beside(holder[key], folder)
    return str(options.pop("platform", "")), options


def beside(path: str, folder: str) -> str:
    """`path`, from `folder` where it is relative."""
    return os.path.normpath(os.path.join(folder, path))


def catalogue(site: str, options: Mapping[str, Any], spec: Mapping[str, Any], problems: Problems) -> None:
    """Report the images, networks and tiers of `spec` that a `site` which lists its own does not have."""
    images, networks, tiers = options.get("images"), options.get("networks"), options.get("tiers")
    image = spec.get("image")
    if images and image is not None and image not in images:
        problems.append(ModelError(f"site '{site}' has no image {show(image)}; {nearest(image, images)}", ("image",)))
    for index, nic in enumerate(spec.get("nics", ())):
        network = nic.get("network")
        if networks and network is not None and network not in (*networks, "user"):
            problems.append(ModelError(f"site '{site}' has no network {show(network)}; {nearest(network, networks)}",
                                       ("nics", index, "network")))
    for index, disk in enumerate(spec.get("disks", ())):
        tier = disk.get("tier")
        if tiers and tier is not None and tier not in tiers:
            problems.append(ModelError(f"site '{site}' has no tier {show(tier)}; {nearest(tier, tiers)}",
                                       ("disks", index, "tier")))
