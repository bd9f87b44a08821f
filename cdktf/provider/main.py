"""``terraform-provider-muster``: Terraform starts it; a person who does is told what it is."""

from __future__ import annotations

import os
import signal
import sys

_MAGIC = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")


def main() -> int:
    """Serve, where Terraform or OpenTofu started this process."""
    if os.environ.get(_MAGIC[0]) != _MAGIC[1]:
        print("This is the Terraform provider 'muster'. Terraform and OpenTofu start it by themselves; "
              "'python -m muster_provider.install' puts it where they look.", file=sys.stderr)
        return 1
    # A terminal sends Ctrl-C to Terraform and to us. Terraform then asks us to stop, and waits for what we say; the
    # programs that we start ignore it too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from .serve import serve

    serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
