"""What a session reads with the property collector: properties of some objects, or of all of a kind, page by page."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ...model.garbage import no_search_for_cycles
from ..driver import DriverError, Unreachable
from .errors import error_of, names
from .sdk import vim, vmodl

Result = TypeVar("Result")
TRIES = 3  # of a question; what changes the world is said once
_PAGE = 500  # objects in one answer: 1,000 of a real vCenter's VMs fill 300 MB, and are no faster
Kinds = Mapping[Any, Sequence[str]]  # of objects → their paths
Found = tuple[Any, dict[str, Any]]  # an object, and what its paths hold
Reader = Callable[[Any, dict[str, Any]], Result]


def _pair(obj: Any, its: dict[str, Any]) -> Found:
    return obj, its


class Reading:
    """The part of a session that reads. Raises the contract's errors."""

    site: str
    content: Any
    renewals: int
    modern: bool  # whether it is vSphere 7.0.2 or later
    _lightly: Any  # the stub through which many VMs are asked for

    def ask(self, doing: str, act: Callable[[], Result], vm: str | None = None) -> Result:
        """A question."""
        raise NotImplementedError

    def do(self, doing: str, act: Callable[[], Result], vm: str | None = None) -> Result:
        """Something that is said once."""
        raise NotImplementedError

    def properties(self, objects: Sequence[Any], paths: Sequence[str], doing: str, vm: str | None = None) -> list[Any]:
        """What `paths` of some objects of one kind hold: a dict each, by path; of objects that are gone, none."""
        return [its for _obj, its in self.pairs(objects, paths, doing, vm)]

    def pairs(self, objects: Sequence[Any], paths: Sequence[str], doing: str, vm: str | None = None) -> list[Found]:
        """The same with the objects, in the order of the answer."""
        collector = vmodl.query.PropertyCollector
        spec = collector.FilterSpec(
            objectSet=[collector.ObjectSpec(obj=one) for one in objects],
            propSet=[collector.PropertySpec(type=type(objects[0]), pathSet=list(paths))],
            reportMissingObjectsInResults=True,
        )
        return list(self._collect(spec, doing, vm))

    def survey(self, kinds: Kinds, doing: str, beside: Any = None) -> list[Found]:
        """Each object of these kinds at the site, with what the paths of its kind hold: one conversation. `beside` is
        one object more, of one of the kinds, that no list shows."""
        return self._viewed(kinds, doing, beside, lambda view: self._shown(view, kinds, doing, beside))

    def walk(
        self, kinds: Kinds, many: Kinds, doing: str, beside: Any, reader: Callable[[list[Found]], Reader[Result]]
    ) -> tuple[list[Found], list[Result]]:
        """`survey` of `kinds`, and in the same conversation each object of `many`, of which there may be thousands, as
        it was made by what `reader` returns for the first: at once, for its values are there while its page is."""

        def ask(view: Any) -> tuple[list[Found], list[Result]]:
            found = self._shown(view, kinds, doing, beside)
            read = reader(found)
            with no_search_for_cycles():
                return found, self._shown(view, many, doing, None, self._lightly, read)

        return self._viewed({**kinds, **many}, doing, beside, ask)

    def _viewed(self, kinds: Kinds, doing: str, beside: Any, ask: Callable[[Any], Result]) -> Result:
        """The answer to a question about a view of these kinds. It is asked anew where the view was lost."""
        shown = [kind for kind in kinds if beside is None or not isinstance(beside, kind)]
        for left in reversed(range(TRIES)):
            seen = self.renewals
            try:
                with self._view(shown, doing) as view:
                    return ask(view)
            except DriverError as error:  # a view, and a page, end with the session that they were made in
                if not left or (self.renewals == seen and not isinstance(error, Unreachable)):
                    raise
        raise AssertionError("neither answered nor refused")

    def _shown(
        self, view: Any, kinds: Kinds, doing: str, beside: Any, stub: Any = None, read: Reader[Any] = _pair
    ) -> list[Any]:
        """What a view shows of these kinds. Raises Unreachable where it is lost."""
        found, there = [], False
        for obj, its in self._collect(_through(view, kinds, beside), doing, None, stub):
            if obj == view:  # what is listed is the view itself, and what it shows
                there = True
            else:
                found.append(read(obj, its))
        if not there:
            raise Unreachable(
                f"unable to {doing}: vCenter dropped the list while it was read", site=self.site, todo="Run again"
            )
        return found

    @contextlib.contextmanager
    def _view(self, kinds: list[Any], doing: str) -> Iterator[Any]:
        root, manager = self.content.rootFolder, self.content.viewManager
        view = self.ask(doing, lambda: manager.CreateContainerView(root, kinds, True))
        try:
            yield view
        finally:
            with contextlib.suppress(DriverError):  # it ends with the session at the latest
                self.do("end a view", view.DestroyView)

    def _collect(self, spec: Any, doing: str, vm: str | None, stub: Any = None) -> Iterator[Found]:
        for answer in self._answers(spec, doing, vm, stub):
            for content in answer.objects:
                missing = [one for one in content.missingSet if "ManagedObjectNotFound" not in names(one.fault)]
                if missing:  # never one field less: what may not be read is not absent
                    raise error_of(f"{doing}: {missing[0].path}", missing[0].fault, site=self.site, vm=vm)
                if not content.missingSet:
                    yield content.obj, {one.name: one.val for one in content.propSet}

    def _answers(self, spec: Any, doing: str, vm: str | None, stub: Any) -> Iterator[Any]:
        """The pages of an answer. While one is looked at, vCenter makes the next."""
        collector = self.content.propertyCollector
        if stub is not None:
            collector = vmodl.query.PropertyCollector(collector._moId, stub)
        options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=_PAGE)
        answer = self.ask(doing, lambda: whole(collector.RetrievePropertiesEx([spec], options)), vm)
        with ThreadPoolExecutor(1) as ahead:  # it starts no thread where there is one page
            while answer is not None:
                # A page is handed out once: it is asked for once.
                act = functools.partial(_next, collector, answer.token)
                upcoming = ahead.submit(self.do, doing, act, vm) if answer.token else None
                yield answer
                answer = upcoming.result() if upcoming else None


def whole(answer: Any) -> Any:
    """An answer of the property collector. Raises the fault of a session that has ended: vCenter hides it in there."""
    for content in answer.objects if answer is not None else ():
        for missing in content.missingSet:
            if isinstance(missing.fault, vim.fault.NotAuthenticated):
                raise missing.fault
    return answer


def _next(collector: Any, token: str) -> Any:
    return whole(collector.ContinueRetrievePropertiesEx(token))


def _through(view: Any, kinds: Kinds, beside: Any) -> Any:
    collector = vmodl.query.PropertyCollector
    return collector.FilterSpec(
        objectSet=[
            collector.ObjectSpec(
                obj=view,
                skip=False,
                selectSet=[collector.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)],
            ),
            *([collector.ObjectSpec(obj=beside)] if beside is not None else ()),
        ],
        propSet=[
            collector.PropertySpec(type=kind, pathSet=list(paths))
            for kind, paths in {vim.view.ContainerView: ["container"], **kinds}.items()
        ],
    )
