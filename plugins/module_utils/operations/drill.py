"""The recovery drill: a VM is brought back from its restore point as an isolated twin, with the clock running.

The clock starts at the request and stops when the last of the twin's services has answered: that is the RTO. The RPO is
the time from the point that the twin's disks show to the request: the work that would be lost. Nothing is counted as
passed that was not asked, and a twin is taken down whatever happens.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..drivers.driver import Capability, Driver, DriverError, Failed, Progress, silent
from ..model.fleet import Fleet
from ..model.units import format_duration
from ..model.vm import VM, Mark
from . import archives, health
from .backup import STAMP, as_restored, find_point, repository_of, whole_disks
from .health import Check
from .repository import Damaged, RestorePoint
from .session import chosen, each, new_operation, width

PATIENCE = 60.0  # seconds for which the services are asked at least, and where no RTO says how long they may take
REALM = "/drill"  # twins bear "<fleet>/drill" in their mark, so that no plan of the fleet ever sees them


@dataclass(frozen=True)
class Outcome:
    """The drill of one VM. `outcome` is ``passed``, ``failed`` or ``not_tested``; targets and measures are seconds."""

    vm: str
    site: str
    outcome: str
    restore_point: str | None = None
    rto_seconds: float | None = None
    rpo_seconds: float | None = None
    rto_target: int | None = None
    rpo_target: int | None = None
    checks: tuple[Check, ...] = ()
    error: str = ""


class _Stop(Exception):
    """A check failed that makes all that follows pointless; it is among the checks already."""


def drill(
    fleet: Fleet,
    drivers: Mapping[str, Driver],
    names: Iterable[str] = (),
    restore_point: str | None = None,
    parallel: int | None = None,
    progress: Progress = silent,
) -> list[Outcome]:
    """Drill the recovery of each VM; the VMs themselves are only read, never touched."""
    vms = chosen(fleet, names)
    for driver in drivers.values():
        reap(fleet, driver, progress)

    def work(vm: VM) -> Outcome:
        return _Drill(fleet, drivers[vm.site], vm, progress).run(restore_point)

    def failed(vm: VM, error: Exception) -> Outcome:
        return Outcome(vm.name, vm.site, "failed", error=str(error), checks=(Check("drill", "failed", str(error)),))

    return each(vms, work, failed, width(fleet, drivers, parallel))


def reap(fleet: Fleet, driver: Driver, progress: Progress = silent) -> list[str]:
    """Take down the twins that a killed drill of this fleet left behind. Returns their names."""
    left = [vm for vm in driver.list() if vm.mark is not None and vm.mark.fleet == fleet.name + REALM]
    for vm in left:
        progress(f"{vm.name}: taking down the twin that an earlier drill left")
        driver.delete(vm, progress)
    return [vm.name for vm in left]


class _Drill:
    """One drill of one VM."""

    def __init__(self, fleet: Fleet, driver: Driver, vm: VM, progress: Progress) -> None:
        self.fleet, self.driver, self.vm, self.progress = fleet, driver, vm, progress
        self.repository = repository_of(fleet, vm)
        self.checks: list[Check] = []
        self.point: RestorePoint | None = None
        self.started, self.requested = time.monotonic(), time.time()
        self.rto: float | None = None

    def run(self, id_: str | None) -> Outcome:
        """The whole drill. Errors of the platform are the drill's outcome, not an exception."""
        protection = self.vm["protection"] or {}
        try:
            for capability in (Capability.RESTORE, Capability.ISOLATE):
                if capability not in self.driver.capabilities:
                    raise self.driver.lacks(capability, self.vm)
            self._boot_and_ask(self._find(id_))
        except _Stop:
            pass
        except Damaged as error:
            self._note("restore point intact", "failed", str(error))
        except DriverError as error:
            self._note("recovery", "failed", str(error))
        except OSError as error:
            self._note("recovery", "failed", f"the controller could not go on: {error}")
        rpo = None if self.point is None else max(0.0, self.requested - self.point.created)
        self._against("rto", self.rto, protection.get("rto"))
        self._against("rpo", rpo, protection.get("rpo"))
        outcome = Outcome(
            self.vm.name,
            self.vm.site,
            self._verdict(),
            self.point.id if self.point else None,
            None if self.rto is None else round(self.rto, 1),
            None if rpo is None else round(rpo, 1),
            protection.get("rto"),
            protection.get("rpo"),
            tuple(self.checks),
            "; ".join(check.detail for check in self.checks if check.outcome == "failed"),
        )
        return self._recorded(outcome)

    def _recorded(self, outcome: Outcome) -> Outcome:
        """Keep the outcome beside the restore points; one that cannot be kept has not proved anything to anybody."""
        record = {
            "restore_point": outcome.restore_point,
            "outcome": outcome.outcome,
            "time": self.requested,
            "rto_seconds": outcome.rto_seconds,
            "rpo_seconds": outcome.rpo_seconds,
        }
        try:
            if outcome.restore_point is not None:
                self.repository.record_drill(self.vm, record)
        except OSError as error:
            self._note("recorded", "failed", f"the outcome could not be kept in {self.repository.root}: {error}")
            return replace(outcome, outcome="failed", checks=tuple(self.checks), error=self.checks[-1].detail)
        return outcome

    def _find(self, id_: str | None) -> RestorePoint:
        self.point = find_point(self.repository, self.vm, id_)
        if self.point is None:
            named = f"the restore point {id_} does not exist" if id_ else "there is no restore point"
            self._note("restore point", "failed" if id_ else "not_tested", f"{named} in {self.repository.root}")
            raise _Stop
        return self.point

    def _boot_and_ask(self, point: RestorePoint) -> None:
        operation = new_operation("drill")
        twin = self._twin(point, f"{self.vm.name}-{operation[-12:]}"[-63:])
        mark = Mark(self.fleet.name + REALM, self.vm.name, operation)
        if point.archive:
            made = archives.bring_back(self.driver, self.vm, point, twin, mark, True, self.progress)
            self._note("restore point kept", "passed", f"the site has {point.archive}, of the size in the manifest")
        else:
            with whole_disks(self.repository, self.vm, point, self.progress) as disks:
                self._note("restore point intact", "passed", f"every byte of {point.id} matches its manifest")
                made = self.driver.restore(twin, mark, disks, isolated=True, progress=self.progress)
        try:
            now = self.driver.power(made, "on", self.progress)
            self._note("isolated", "passed", "the twin has no NIC but one that reaches nothing")
            now = self._booted(now)
            self._note("boots", "passed", f"ready {time.monotonic() - self.started:.0f} s after the request")
            self._identify(now, point)
            self._services(now)
            self.rto = time.monotonic() - self.started
        finally:
            self.progress(f"{self.vm.name}: taking the twin down")
            self.driver.delete(made, self.progress)

    def _booted(self, twin: VM) -> VM:
        try:
            return self.driver.wait_ready(twin, self.progress)
        except Failed as error:  # its advice is for a VM that stays; the twin does not
            self._note("boots", "failed", f"{error.what}; the twin is taken down")
            raise _Stop from error

    def _twin(self, point: RestorePoint, name: str) -> VM:
        """The twin has one NIC, whatever the VM has: the ports that its checks ask for lead in, nothing leads out."""
        twin = as_restored(self.vm, point, name)
        forwards = [{"guest": port} for port in health.ports(self.vm["health"])]
        nic = {"name": "nic0", "network": "user", "forwards": forwards}
        return replace(twin, spec={**twin.spec, "nics": [nic]})

    def _identify(self, twin: VM, point: RestorePoint) -> None:
        """The twin must bear the stamp that this very restore point left."""
        if not point.stamped:
            return
        found = self.driver.execute(twin, ["cat", STAMP], timeout=30).output.strip()
        if found == point.id:
            self._note("is this restore point", "passed", "the guest bears its id")
        else:
            self._note("is this restore point", "failed", f"the guest bears '{health.clean(found, 60)}' instead")
            raise _Stop

    def _services(self, twin: VM) -> None:
        """A service that answers within the RTO has been recovered in time, so none is given up before it is over."""
        left = ((self.vm["protection"] or {}).get("rto") or 0) - (time.monotonic() - self.started)
        asked = health.ask(self.driver, twin, self.vm["health"], max(PATIENCE, left), self.progress)
        told = health.inside(self.driver, twin) if any(check.outcome == "failed" for check in asked) else ""
        self.checks += [replace(check, detail=f"{check.detail}. Inside the guest: {told}")
                        if told and check.outcome == "failed" else check for check in asked]
        if not asked:
            self._note("services", "not_tested", "the fleet file declares no health check for it")
            raise _Stop
        if any(check.outcome != "passed" for check in asked):
            raise _Stop

    def _against(self, name: str, seconds: float | None, target: int | None) -> None:
        """A measure over its target is a failed drill, however well the twin works."""
        if seconds is None or target is None:
            return
        kept = seconds <= target
        self._note(
            name, "passed" if kept else "failed", f"{name.upper()} {seconds:.0f} s, target {format_duration(target)}"
        )

    def _note(self, name: str, outcome: str, detail: str) -> None:
        self.checks.append(Check(name, outcome, detail))

    def _verdict(self) -> str:
        outcomes = {check.outcome for check in self.checks}
        if "failed" in outcomes:
            return "failed"
        return "passed" if self.rto is not None and "not_tested" not in outcomes else "not_tested"


def sentence(outcome: Outcome) -> str:
    """One sentence on a drill for people."""
    where = f"VM '{outcome.vm}' at site '{outcome.site}'"
    if outcome.outcome == "passed":
        return f"{where}: the recovery drill passed, RTO {outcome.rto_seconds} s, RPO {outcome.rpo_seconds} s."
    what = "failed" if outcome.outcome == "failed" else "could not be tested"
    why = [check for check in outcome.checks if check.outcome == outcome.outcome]
    told = "; ".join(f"{check.name}: {check.detail.rstrip('.')}" for check in why)
    return f"{where}: the recovery drill {what}. {told}. The VM itself was not touched."
