"""What the modules that run on the controller share: their options, their sessions, their results.

A module is an argument spec, one call into `operations`, and a result; what goes wrong becomes one sentence.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .drivers.driver import Driver, DriverError
from .model.errors import ModelError
from .model.fleet import Fleet
from .operations.session import Unasked, connected, entrusted, read_fleet

PROGRESS = "MUSTER_PROGRESS"  # the file in which the progress callback looks for news

FLEET_OPTIONS: dict[str, Any] = {
    "fleet_file": {"type": "path", "required": True},
    "vms": {"type": "list", "elements": "str", "default": []},
    "parallel": {"type": "int"},
    "credentials": {"type": "dict", "no_log": True},
}


_interrupted = threading.Event()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _abandoned(path: str) -> bool:
    """Whether the ansible-playbook that watches `path` is gone: it holds a lock beside it as long as it lives."""
    try:
        with open(os.path.join(os.path.dirname(path), "alive"), encoding="utf-8") as file:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # it is held, or there is none to go by
        return False
    return True


def progress(message: str) -> None:
    """Tell the progress callback, where one listens: modules themselves have no way to speak while they run.

    Every long work calls it often, so this is where threads learn that the operator has stopped the run, or that
    ansible-playbook was killed: they end as if Ctrl-C had hit them, and clean up what they have half made. If they went
    on, they would be in the way of the next run.
    """
    path = os.environ.get(PROGRESS)
    if _interrupted.is_set() or (path and _abandoned(path)):
        raise KeyboardInterrupt
    if path:
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as file:
            file.write(f"{time.time():.1f}\t{message[:400]}\n")


@contextlib.contextmanager
def told(module: AnsibleModule) -> Iterator[None]:
    """Turn the errors of the house into the module's failure: a sentence, no traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        module.fail_json(
            msg="The run was interrupted. What was half made was taken back, what is made stays; run again to carry on."
        )
    except (DriverError, ModelError) as error:
        module.fail_json(msg=str(error))
    except ImportError as error:
        module.fail_json(
            msg=f"The Python that runs this module lacks a library: {error}. Run make install, or set "
            "ansible_python_interpreter to one that has it."
        )


@contextlib.contextmanager
def session(module: AnsibleModule, unasked: Unasked | None = None) -> Iterator[tuple[Fleet, Mapping[str, Driver]]]:
    """The fleet of `fleet_file` and the drivers of the sites that `vms` live at. Sites that cannot be opened fail the
    module, or go to `unasked`."""
    with told(module):
        if not module.params["fleet_file"]:
            module.fail_json(msg="Name the fleet file, as in -e fleet_file=fleet.yml. Nothing was changed.")
        fleet = entrusted(read_fleet(module.params["fleet_file"]), module.params["credentials"])
        with connected(fleet, module.params["vms"], bool(module.params.get("all")), unasked) as drivers:
            warn(module, fleet, drivers)
            yield fleet, drivers


def warn(module: AnsibleModule, fleet: Fleet, names: Iterable[str]) -> None:
    """Tell what should be told of the sites that are asked."""
    for name in names:
        if fleet.sites[name].warning:
            module.warn(fleet.sites[name].warning)


def finish(
    module: AnsibleModule,
    outcomes: Sequence[Any],
    as_dict: Callable[[Any], dict[str, Any]],
    changed: bool,
    notes: Sequence[str] = (),
    errors: Sequence[str] | None = None,
    **more: Any,
) -> None:
    """End the module with one entry per VM; any error fails it, with all of them in its message. `notes` warn. `errors`
    stand in the message instead of those of the outcomes."""
    for note in notes:
        module.warn(note)
    errors = [outcome.error for outcome in outcomes if outcome.error] if errors is None else errors
    result = {"changed": changed, "vms": [as_dict(outcome) for outcome in outcomes], **more}
    if errors:
        module.fail_json(msg="\n".join(dict.fromkeys(errors)), **result)
    module.exit_json(**result)
