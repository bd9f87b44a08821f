"""Questions of VMs: vCenter holds a task until somebody answers, for hours, and reports no error meanwhile."""

from __future__ import annotations

from typing import Any

from ..driver import Failed
from .errors import clean

PATH = "runtime.question"
_CHOICES = 10  # that are named


def error_of(question: Any, doing: str, site: str, vm: str) -> Failed:
    """The error of a VM that waits for an answer: its question, and what may be answered."""
    choices = [clean(one.label or one.summary or one.key) for one in question.choice.choiceInfo or ()]
    answers = f" ({', '.join(choices[:_CHOICES])})" if choices else ""
    return Failed(
        f"unable to {doing}: it waits for an answer: '{clean(question.text)}'{answers}; it was left waiting",
        site=site,
        vm=vm,
        todo="Answer it in vCenter, then run again",
    )
