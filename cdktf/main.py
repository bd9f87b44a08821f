"""The CDKTF app of a fleet: ``python cdktf/main.py [fleet.yml]`` writes one stack for each site into ``cdktf.out``.

Exit code 0: written; 1: a rule failed; 2: the fleet file, a pack or this machine is not as it must be.
"""

from __future__ import annotations

import os
import shutil
import sys

from muster.model.errors import ModelError
from muster.policy.formats.words import plural


def main(argv: list[str]) -> int:
    """Synthesise the fleet of ``argv[1]``, ``fleet.yml`` if there is none."""
    if len(argv) > 2 or argv[1:2] in (["-h"], ["--help"]):
        print("usage: python main.py [fleet.yml]", file=sys.stderr)
        return 2
    from muster.operations.session import read_fleet

    if shutil.which(os.environ.get("JSII_NODE", "node")) is None:
        print("there is no 'node' on the path, and the CDK runs on Node.js; install that", file=sys.stderr)
        return 2
    try:
        fleet = read_fleet(argv[1] if len(argv) > 1 else "fleet.yml")
        from muster_cdktf.cdk import App
        from muster_cdktf.stacks import Rulebook, add_fleet

        app = App()
        rulebook = Rulebook.of(fleet)
        stacks = add_fleet(app, fleet, rulebook)
    except (ModelError, ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        app.synth()
    except RuntimeError:
        if not rulebook.findings:
            raise
        for finding in rulebook.findings:
            print(f"{finding}\n", file=sys.stderr)
        print(f"{plural(len(rulebook.findings), 'finding')} stopped the synthesis.", file=sys.stderr)
        return 1
    for stack in stacks:
        folder = os.path.join(app.outdir, "stacks", stack.site)
        print(f"{os.path.relpath(folder)}: {plural(len(fleet.at(stack.site)), 'VM')}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
