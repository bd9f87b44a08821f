"""A secret of HashiCorp Vault or OpenBao by its reference, ``vault:PATH#FIELD``. PATH is that of its API, so every
engine that answers a read with text does: ``secret/data/muster/dc1`` is ``muster/dc1`` in a KV store of version 2.

The server and the token are those of Vault's own command line: VAULT_ADDR, VAULT_TOKEN or ``~/.vault-token``,
VAULT_NAMESPACE, VAULT_CACERT. What is read stays in the process that asked.
"""

from __future__ import annotations

import os
from typing import Any

from ..model.catalogue import VAULT
from ..model.fleet import Site
from .driver import Denied, DriverError, Unreachable

_SECONDS = (5, 20)  # to connect, and to wait for an answer
_LIMIT, _WHOLE = 1 << 20, 60  # bytes of an answer, and seconds until it is whole
_STRANGE = "it answers, and not as Vault does with a secret"


def read(access: Site, reference: str, what: str) -> str:
    """The text of `reference`, which is `what` (``API token``). Raises Denied and Unreachable, which show no secret."""
    path, _hash, name = reference.removeprefix(VAULT).partition("#")
    if not os.environ.get("VAULT_ADDR"):
        raise _denied(access, reference, what, "VAULT_ADDR is not set", "Set it to the address of Vault")
    answer = _asked(access, reference, what, path)
    if answer is None:
        raise _denied(access, reference, what, "Vault has no secret of this path",
                      "Write it there, or mend the path; in a KV store of version 2 'data/' follows the store's own "
                      "path, as in vault:secret/data/muster/dc1#token")  # fmt: skip
    found = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        raise _unreachable(access, reference, what, _STRANGE)
    if isinstance(found.get("metadata"), dict) and isinstance(found.get("data"), dict):
        found = found["data"]  # of a KV store of version 2
    text = found.get(name)
    if not isinstance(text, str) or not text.strip():
        raise _denied(access, reference, what, f"the secret has no text in '{name}'",
                      f"Name the field that holds the {what}")  # fmt: skip
    return text


def _asked(access: Site, reference: str, what: str, path: str) -> Any:
    """Vault's answer; None where there is no secret of this path."""
    try:
        import hvac
        from requests import Session
        from requests.exceptions import RequestException

        from .bounded import Bounded, Unbounded
    except ImportError:
        raise _denied(access, reference, what, "the library hvac is not installed",
                      "Run pip install 'muster-fleet[vault]'") from None  # fmt: skip
    session = Session()
    session.verify = os.environ.get("VAULT_CACERT") or True  # hvac takes that of the session
    for scheme in ("https://", "http://"):
        session.mount(scheme, Bounded(_LIMIT, _WHOLE))
    client = hvac.Client(
        url=os.environ["VAULT_ADDR"],
        namespace=os.environ.get("VAULT_NAMESPACE"),
        session=session,
        timeout=_SECONDS,
        allow_redirects=False,  # the token would go along to wherever they lead
    )
    try:
        return client.read(path)
    except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized):
        raise _denied(access, reference, what, "Vault refuses the token, or its policies do not let it read the secret",
                      "Log in to Vault, or set VAULT_TOKEN to a token that may read it") from None  # fmt: skip
    except hvac.exceptions.VaultDown:
        words = "it is sealed or in maintenance"
    except hvac.exceptions.VaultError as error:
        words = type(error).__name__  # its own text may hold what a stranger answered
    except Unbounded as error:
        words = f"{_STRANGE}: {error}"
    except RecursionError:
        words = f"{_STRANGE}: its JSON is nested too deeply"
    except (RequestException, ValueError) as error:
        words = f"no answer of it came ({type(error).__name__})"
    raise _unreachable(access, reference, what, words)


def _unreachable(access: Site, reference: str, what: str, words: str) -> DriverError:
    return Unreachable(
        f"its {what} cannot be read from Vault ({reference}): {words}. The site was not asked, and nothing was changed",
        site=access.name,
        todo="Look at Vault ('vault status'), VAULT_ADDR and VAULT_CACERT, then run again",
    )


def _denied(access: Site, reference: str, what: str, why: str, todo: str) -> DriverError:
    return Denied(f"its {what} cannot be read from Vault ({reference}): {why}. Nothing was changed", site=access.name,
                  todo=todo)  # fmt: skip
