"""The beginning of every operation: the fleet file, the connections to its sites, and work on several VMs at once."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TypeVar, Union

from ..drivers.driver import Ambiguous, Driver, DriverError, NotFound
from ..drivers.registry import open_site
from ..model.errors import ModelError, nearest, show
from ..model.fleet import Fleet, load_fleet
from ..model.vm import VM

FILE_LIMIT = 1 << 20
Item = TypeVar("Item")
Result = TypeVar("Result")
Unasked = list[DriverError]  # why sites could not be asked, an error for each
# VMs that are worked on at once: in all, or of each site by its name.
Width = Union[int, Mapping[str, int]]  # noqa: UP007 - ansible-test reads it as an older Python


def read_fleet(path: str | Path) -> Fleet:
    """The fleet of a file. Raises ModelError where it cannot be read, FleetErrors where it is wrong."""
    file = Path(path).expanduser().absolute()
    try:
        with file.open("rb") as stream:
            data = stream.read(FILE_LIMIT + 1)
    except OSError as error:
        raise ModelError(
            f"the fleet file cannot be read: {error.strerror}; name another with fleet_file", (), str(file)
        ) from error
    if len(data) > FILE_LIMIT:
        raise ModelError("the fleet file is larger than 1 MiB; split the fleet", (), str(file))
    try:
        return load_fleet(data.decode("utf-8"), str(file))
    except UnicodeDecodeError as error:
        raise ModelError(
            f"the fleet file is not UTF-8 (byte {error.start}); save it as UTF-8", (), str(file)
        ) from error


def entrusted(fleet: Fleet, credentials: Mapping[str, object] | None) -> Fleet:
    """`fleet` whose sites have these `credentials`, by their names. Raises ModelError, which shows none of them."""
    sites = dict(fleet.sites)
    for name, text in (credentials or {}).items():
        if name not in sites:
            raise ModelError(f"there are credentials for {show(name)}, and no such site; {nearest(name, sites)}", (),
                             fleet.source)  # fmt: skip
        if not isinstance(text, str) or not text.strip():
            raise ModelError(f"the credentials for site '{name}' are no text, or empty; nothing was asked", (),
                             fleet.source)  # fmt: skip
        sites[name] = replace(sites[name], secret=text)
    return replace(fleet, sites=sites)


def new_operation(kind: str) -> str:
    """The id of one operation: sortable by time, unique, safe in a name on every platform."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{kind}-{secrets.token_hex(3)}"


class SeveralFailedError(DriverError):
    """Failures of several sites: str() has the sentence of each on a line of its own."""

    def __init__(self, errors: Sequence[DriverError]) -> None:
        super().__init__(errors[0].what, site=errors[0].site, vm=errors[0].vm, todo=errors[0].todo)
        self.args = ("\n".join(map(str, errors)),)


@contextlib.contextmanager
def connected(
    fleet: Fleet, names: Iterable[str] = (), every: bool = False, unasked: Unasked | None = None
) -> Iterator[dict[str, Driver]]:
    """A driver for each site of the fleet that has VMs (or VMs among `names`; all sites with `every`), closed at the
    end. Of sites that fail, see `of_sites`."""
    wanted = set(fleet.sites) if every else {vm.site for vm in chosen(fleet, names)}
    drivers: dict[str, Driver] = {}

    def begin(name: str) -> None:
        drivers[name] = open_site(fleet.sites[name])

    try:
        of_sites(sorted(wanted), begin, unasked)
        yield drivers
    finally:
        for driver in drivers.values():
            driver.close()


def chosen(fleet: Fleet, names: Iterable[str] = ()) -> tuple[VM, ...]:
    """The fleet's VMs of these `names`, all if there are none. Raises ModelError for a name that is not in the file,
    and for a file of sites alone."""
    if not fleet.vms:
        raise ModelError(
            "the fleet file names no VM, so nothing was done; add 'vms', or look at what its sites have with the "
            "inspect playbook",
            (),
            fleet.source,
        )
    picked = [fleet.vm(name) for name in names]
    return tuple(picked) or fleet.vms


def actual_of(desired: VM, driver: Driver, listed: Sequence[VM] | None = None) -> VM:
    """The one VM at the site that bears the mark of `desired`. Raises NotFound, and Ambiguous where two bear it."""
    for vm in only(
        vm
        for vm in (driver.list() if listed is None else listed)
        if vm.mark is not None
        and desired.mark is not None
        and vm.state.get("built", True)
        and (vm.mark.fleet, vm.mark.vm) == (desired.mark.fleet, desired.mark.vm)
    ):
        return vm
    raise NotFound(
        "the fleet file names it, and the site has no VM with its mark",
        site=driver.site,
        vm=desired.name,
        todo="Run the provision playbook first",
    )


def only(marked: Iterable[VM]) -> list[VM]:
    """`marked`, each with a mark of its own. Raises Ambiguous where two of one site bear the same one: a VM that was
    copied past Muster took the mark along, and nobody can tell which of the two is meant."""
    found: dict[tuple[str, str, str], VM] = {}
    for vm in marked:
        other = found.setdefault((vm.site, vm.owner.fleet, vm.owner.vm), vm)
        if other is not vm:
            raise Ambiguous(
                f"two VMs bear its mark, {other.uuid} ('{other.name}') and {vm.uuid} ('{vm.name}'); both were left as "
                "they are",
                site=vm.site,
                vm=vm.owner.vm,
                todo="Remove the mark of the one that is not meant (virsh metadata UUID https://muster.fleet/ns/vm/1 "
                "--remove --config)",
            )
    return list(found.values())


def each(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    failed: Callable[[Item, Exception], Result],
    parallel: Width,
    site_of: Callable[[Item], str] = attrgetter("site"),
) -> list[Result]:
    """`work` on all `items`, at most `parallel` at once, in all or of each site; one that fails does not stop others.

    Results come in the order of the items. Only expected errors become `failed`'s result; a defect of ours is raised.
    """

    def one(item: Item) -> Result:
        try:
            return work(item)
        except (DriverError, ModelError) as error:
            return failed(item, error)

    if len(items) <= 1 or parallel == 1:
        return [one(item) for item in items]
    lanes = ["" if isinstance(parallel, int) else site_of(item) for item in items]
    bounds = {"": parallel} if isinstance(parallel, int) else parallel
    with contextlib.ExitStack() as stack:
        pools = {lane: stack.enter_context(ThreadPoolExecutor(bounds[lane])) for lane in dict.fromkeys(lanes)}
        begun = [pools[lane].submit(one, item) for lane, item in zip(lanes, items, strict=True)]
        try:
            return [future.result() for future in begun]
        except BaseException:  # what is not begun stays so
            for future in begun:
                future.cancel()
            raise


def of_sites(
    names: Sequence[str], ask: Callable[[str], Result], unasked: Unasked | None, parallel: int = 1
) -> dict[str, Result]:
    """What `ask` says of each site, by its name. All are asked, and the errors of all that fail are raised as one: who
    plans must know every site. Who reports gives `unasked`, which takes the errors, and those sites are left out; it is
    raised all the same where none is left."""
    lost: Unasked = []

    def failed(_name: str, error: Exception) -> None:
        if not isinstance(error, DriverError):
            raise error
        lost.append(error)

    found = dict(filter(None, each(names, lambda name: (name, ask(name)), failed, parallel)))
    if lost and (unasked is None or not found):
        lost[:0] = unasked or ()
        raise lost[0] if len(lost) == 1 else SeveralFailedError(sorted(lost, key=attrgetter("site")))
    if unasked is not None:
        unasked += lost
    return found


def list_all(
    drivers: Mapping[str, Driver], report: bool = False, unasked: Unasked | None = None
) -> dict[str, Sequence[VM]]:
    """The VMs of each site, by its name, for a `report` their overview; all sites are asked at the same time. Of sites
    that fail, see `of_sites`."""

    def ask(name: str) -> Sequence[VM]:
        return drivers[name].overview() if report else drivers[name].list()

    return of_sites(list(drivers), ask, unasked, len(drivers))


def width(fleet: Fleet, drivers: Mapping[str, Driver], parallel: int | None) -> Width:
    """How many VMs to work on at once: as asked for in all, else what each site allows, else 4 of each."""
    return parallel or {name: int(fleet.sites[name]["parallel"] or 4) for name in drivers}
