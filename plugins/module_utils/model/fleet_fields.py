"""The fields of the fleet file around its VMs: sites, waivers and Terraform's state, in the form of `fields`."""

from __future__ import annotations

from .fields import VM_FIELDS, Field, field
from .patterns import CREDENTIALS, DATE, FINGERPRINT, FOLDER, IMAGE, LABEL, NAME, PATH, PLACE, SHA256, URI, URL, VMS

MAX_VMS = 10_000
PLATFORMS = ["libvirt", "vsphere", "proxmox"]
BACKENDS = ["local", "s3", "azurerm", "gcs", "http", "consul", "pg", "kubernetes"]

IMAGE_FIELDS: dict[str, Field] = {
    "path": field("str", "File of the image. A relative path begins at the folder of the fleet file.", "mark",
                  pattern=PATH),
    "url": field("str", "Address of the image.", "mark", pattern=URL),
    "sha256": field("str", "SHA-256 of the image, in hexadecimal. Needed with I(url).", "mark", pattern=SHA256),
    "template": field("str", "Name of a template that the site itself keeps (vSphere, Proxmox), or its number.", "mark",
                      pattern=PLACE),
}

TLS_FIELDS: dict[str, Field] = {
    "ca": field("str", "File with the certificates of the authorities to trust, as PEM. A relative path begins at the "
                "folder of the fleet file. Those of the system if unset.", "mark", pattern=PATH),
    "fingerprint": field("str", "SHA-256 fingerprint of the one certificate to trust.", "mark", pattern=FINGERPRINT),
    "verify": field("bool", "Whether the certificate is verified. Without it anybody between here and the site can "
                    "take the credentials.", "mark", default=True),
}

SSH_FIELDS: dict[str, Field] = {
    "user": field("str", "User inside the guests.", "mark", pattern=LABEL, example="muster"),
    "key": field("str", "File of the private key. A relative path begins at the folder of the fleet file.", "mark",
                 pattern=PATH),
}

SITE_FIELDS: dict[str, Field] = {
    "platform": field("str", "Platform of the site.", "mark", choices=PLATFORMS, required=True, example="libvirt"),
    "uri": field("str", "Address of the site, in the form of its platform.", "mark", pattern=URI,
                 example="qemu:///system"),
    "credentials": field("str", "File with the site's credentials; for Proxmox an API token, such as "
                         "C(user@realm!name=secret), for vSphere C(user:password). A relative path begins at the "
                         "folder of the fleet file. C(vault:PATH#FIELD) is a secret of HashiCorp Vault or OpenBao, at "
                         "C(VAULT_ADDR). The environment variable C(MUSTER_CREDENTIALS_<SITE>) goes before both.",
                         "mark", pattern=CREDENTIALS, example="./lab.token"),
    "tls": field("dict", "How the site's certificate is verified.", "mark", options=TLS_FIELDS),
    "pool": field("str", "Storage pool of disks that name none.", "mark", pattern=PLACE),
    "folder": field("str", "Folder below the datacenter's folder of VMs in which VMs are made (vSphere).", "mark",
                    pattern=FOLDER, example="shop/web"),
    "archive": field("str", "Storage in which the platform keeps backups of its own (Proxmox). The only one if unset.",
                     "mark", pattern=PLACE),
    "tiers": field("dict", "Storage pool of each storage tier.", "mark", keys=LABEL, pattern=PLACE),
    "networks": field("list", "Networks that NICs may name, beside C(user). Any if unset.", "mark", elements="str",
                      pattern=PLACE, max_items=1024),
    "images": field("dict", "Images of the site by name. VMs may then use these only.", "mark", keys=IMAGE,
                    values=IMAGE_FIELDS, one_of=("path", "url", "template"), max_items=1024),
    "ssh": field("dict", "How guests are reached.", "mark", options=SSH_FIELDS),
    "repository": field("str", "Folder of the restore points. A relative path begins at the folder of the fleet file.",
                        "mark", pattern=PATH),
    "parallel": field("int", "How many VMs are worked on at the same time.", "mark", min=1, max=64),
}

WAIVER_FIELDS: dict[str, Field] = {
    "rule": field("str", "Rule that is waived.", "mark", pattern=LABEL, required=True, example="ssh-no-root-login"),
    "vms": field("list", "VMs for which it is waived: names, beginnings of names with a star, or a star for all.",
                 "mark", elements="str", pattern=VMS, max_items=MAX_VMS, required=True, example="[web-1]"),
    "reason": field("str", "Why it is waived.", "mark", required=True, example="migration until March"),
    "approver": field("str", "Who approved it.", "mark", max_length=256, required=True, example="jane"),
    "until": field("str", "Last day on which it is waived.", "mark", pattern=DATE, required=True,
                   example="2027-03-31"),
}

STATE_FIELDS: dict[str, Field] = {
    "backend": field("str", "Backend of Terraform in which the states lie, one for each site. C(local) if unset: files "
                     "beside the fleet file.", "mark", choices=BACKENDS, example="s3"),
    "folder": field("str", "Folder of the states. For C(local) a relative path begins at the folder of the fleet file; "
                    "for all others it is the first part of the key, and the name of the fleet if unset.", "mark",
                    pattern=PATH),
    "settings": field("dict", "Settings of the backend, by Terraform's names; their values are text. Neither the place "
                      "of a state, nor locking, nor credentials are among them.", "mark", keys=LABEL),
}

# What `defaults`, a VM and an override may hold; `VM_FIELDS` are the VM itself.
LAYER_FIELDS: dict[str, Field] = {
    "site": field("str", "Site of the VM. May be left out where the file has one site.", "replace", pattern=NAME),
    **VM_FIELDS,
}

COUNT = field("int", "Makes so many VMs, C(NAME-1), C(NAME-2)… Without it there is one, C(NAME).", "mark", min=1,
              max=MAX_VMS)

TOP_FIELDS = ("fleet", "sites", "defaults", "vms", "rules", "waivers", "state")
