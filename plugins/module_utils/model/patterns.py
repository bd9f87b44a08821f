"""The patterns that text of the model must match as a whole, each with its meaning for people."""

from __future__ import annotations

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
LABEL = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
# What a platform calls its networks, pools, hosts and clusters. vCenter's own first network is "VM Network".
PLACE = r"^[A-Za-z0-9](?:[A-Za-z0-9._ ()+-]{0,78}[A-Za-z0-9._)+-])?$"
FOLDER = rf"^{PLACE[1:-1]}(?:/{PLACE[1:-1]}){{0,15}}$"
IMAGE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
MAC = r"^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$"
CPUSET = r"^[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?){0,255}$"
ZONE = r"^[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,3}$"
TIME = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"
VMS = r"^(?:\*|[a-z0-9][a-z0-9-]{0,62}\*?)$"
DATE = r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$"
SHA256 = r"^[0-9a-f]{64}$"
FINGERPRINT = r"^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}$"
URL = r"^https?://(?:(?![@/?#])[!-~])+(?:[/?#][!-~]*)?$"  # no password: every reader of the file would see it
URI = r"^[!-~]+$"
URL_PATH = r"^/[!-~]*$"
PATH = r"^[^~\s-][^\s]*$"  # no shell's home, no option, no space
_OF_VAULT = r"vault:[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+#[A-Za-z0-9_.-]+"
CREDENTIALS = rf"^(?:{_OF_VAULT}|(?!vault:)[^~\s-][^\s]*)$"
RULES = r"^(?:[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}|\./[A-Za-z0-9._/-]{1,250}\.ya?ml)$"

_CHARACTERS = "use letters, digits, '.', '_' and '-', beginning with a letter or digit, at most"

MEANING = {
    NAME: "use a-z, 0-9 and '-', beginning with a letter or digit, at most 63 characters",
    LABEL: f"{_CHARACTERS} 63 characters",
    PLACE: "use letters, digits, spaces, '.', '_', '-', '+', '(' and ')', beginning with a letter or digit, at most 80 "
    "characters",
    FOLDER: "write names one below the other with '/' between them, as 'shop/web'",
    IMAGE: f"{_CHARACTERS} 128 characters",
    MAC: "write six pairs of 0-9 and a-f, such as '52:54:00:12:34:56'",
    CPUSET: "write CPU numbers and ranges, such as '0-3,8'",
    ZONE: "write an IANA name, such as 'Europe/Berlin'",
    TIME: "write hours and minutes, such as '07:00'",
    VMS: "write the name of a VM, its beginning and a star, such as 'web-*', or '*' in quotes",
    DATE: "write a day, such as '2027-03-31'",
    SHA256: "write the 64 hexadecimal digits that 'sha256sum' prints",
    FINGERPRINT: "write 32 pairs of hexadecimal digits with colons, as 'openssl x509 -fingerprint -sha256' prints them",
    URL: "write an address that begins with https:// and holds no password (that belongs into ~/.netrc)",
    URI: "write an address without spaces, such as 'qemu:///system'",
    URL_PATH: "write a path that begins with '/', without spaces",
    PATH: "write a path without spaces that does not begin with '-' or '~'",
    CREDENTIALS: "write a path without spaces that does not begin with '-' or '~', or a secret of Vault, such as "
    "'vault:secret/data/muster/dc1#token'",
    RULES: "name a pack, such as 'muster/baseline', or a file beside this one, such as './our-rules.yml'",
}
