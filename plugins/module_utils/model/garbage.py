"""Python's search for cycles, which walks all that is held each time that there is more of it: where much is made and
kept, as of a large site, it takes as long as the making."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Inside nothing is searched, for what is made there has no cycles; what nobody holds goes as always."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextlib.contextmanager
def kept_for_good() -> Iterator[None]:
    """What is made inside is held to the end of the process, so that it is never searched. What was kept by an earlier
    one of these is searched once more, for it may be what the new takes the place of."""
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    with no_search_for_cycles():
        try:
            yield
        finally:
            gc.freeze()
