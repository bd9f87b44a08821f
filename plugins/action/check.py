# Copyright: Muster contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action ``check``: VM documents against packs of rules, on the controller, without a connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.muster.fleet.plugins.module_utils.command.errors import CannotCheckError
from ansible_collections.muster.fleet.plugins.module_utils.command.output import to_file
from ansible_collections.muster.fleet.plugins.module_utils.policy import Report, check, load_rules
from ansible_collections.muster.fleet.plugins.module_utils.policy.documents import DocumentError
from ansible_collections.muster.fleet.plugins.module_utils.policy.fixes import FixConflictError, settings
from ansible_collections.muster.fleet.plugins.module_utils.policy.formats import Checked, FormatError, Part, pieces
from ansible_collections.muster.fleet.plugins.module_utils.policy.formats.words import plural
from ansible_collections.muster.fleet.plugins.module_utils.policy.framework import (
    FrameworkError,
    by_framework,
    frameworks,
    load_framework,
)
from ansible_collections.muster.fleet.plugins.module_utils.policy.packfile import PackError
from ansible_collections.muster.fleet.plugins.module_utils.policy.rule import SEVERITIES, STAGES, Rule
from ansible_collections.muster.fleet.plugins.module_utils.policy.summary import table, write_report
from ansible_collections.muster.fleet.plugins.module_utils.policy.waivers import (
    Waiver,
    WaiverError,
    load_waivers,
    parse_waivers,
)
from ansible_collections.muster.fleet.plugins.module_utils.terraform import TerraformError, read_document

# The files of a report beside report.html and report.json.
FILES = {"sarif": "report.sarif", "junit": "report.junit.xml", "csv": "report.csv", "oscal": "report.oscal.json"}
ARGUMENT_SPEC: dict[str, Any] = {
    "stage": {"type": "list", "elements": "str", "choices": list(STAGES)},
    "documents": {"type": "list", "elements": "dict"},
    "plan": {"type": "path"},
    "packs": {"type": "list", "elements": "str", "required": True},
    "guests": {"type": "dict", "default": {}},
    "waivers": {"type": "raw"},
    "base": {"type": "path"},
    "frameworks": {"type": "list", "elements": "str", "default": []},
    "report": {"type": "path"},
    "formats": {"type": "list", "elements": "str", "choices": list(FILES)},
    "run": {"type": "dict", "default": {}},
    "fail_on": {"type": "str", "choices": list(SEVERITIES)},
}
_NAMED = 3


def _waivers(given: Any, base: Path) -> tuple[Waiver, ...]:
    """The waivers of a list, as the fleet file has them, or of the file at a path."""
    if isinstance(given, (list, tuple)):
        return parse_waivers(given)
    return load_waivers(base / str(given)) if given else ()


class ActionModule(ActionBase):
    """Runs on the controller alone: nothing is copied anywhere and no host is asked."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """The result: compliance, settings by VM, paths of the report, and `failed` where fail_on is hit."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(
            argument_spec=ARGUMENT_SPEC, required_one_of=[("documents", "plan")],
            required_together=[("documents", "stage")], required_by={"formats": ("report",)})
        base = Path(args["base"] or self._loader.get_basedir())
        now = datetime.now(UTC)
        stages = args["stage"] or ()
        try:
            rules = load_rules(args["packs"], base)
            waivers = _waivers(args["waivers"], base)
            asked = [load_framework(name) for name in dict.fromkeys(args["frameworks"])]
            documents = [
                {**document, "guest": args["guests"][document["name"]]}
                if document.get("name") in args["guests"] and document.get("kind") != "site" else document
                for document in args["documents"] or ()
            ]
            parts = [Part(check(documents, rules, stage, waivers, now=now)) for stage in dict.fromkeys(stages)]
            if args["plan"]:
                plan = read_document(base / args["plan"])
                judged = check(plan.vms, rules, "plan", waivers, now=now)
                parts.append(Part(replace(judged, unmapped=plan.unmapped), args["plan"]))
                documents += plan.vms
            report = sum((part.report for part in parts), Report(""))
            result: dict[str, Any] = {"changed": False, "compliance": report.compliance()}
            if asked:
                result["compliance"]["frameworks"] = by_framework(report.by_rule(), rules, asked)
            if "guest" in stages:
                result["settings"], strange = _settings(documents, rules, waivers, now)
                if strange:
                    result["warnings"] = strange
        except (PackError, WaiverError, FixConflictError, DocumentError, FrameworkError, TerraformError) as error:
            raise AnsibleActionFail(str(error)) from None
        if args["report"]:
            controls = by_framework(report.by_rule(), rules, map(load_framework, frameworks()))
            whole = {**result["compliance"], "frameworks": controls}
            checked = Checked(str(args["run"].get("fleet", "fleet")), tuple(parts), rules, now, 0.0, tuple(asked))
            result.update(self._write(base / args["report"], args, documents, whole, checked))
        if args["fail_on"]:
            result.update(_gate(report, args["fail_on"]))
        return result

    def _write(self, folder: Path, args: Mapping[str, Any], documents: Sequence[Mapping[str, Any]],
               compliance: dict[str, Any], checked: Checked) -> dict[str, Any]:
        """Write the run report, unless in check mode; returns its paths and its table."""
        data = {
            "fleet": "fleet",
            "generated": checked.now.isoformat(timespec="seconds"),
            "seconds": 0,
            "vms": [_inspected(document) for document in documents if document.get("kind") != "site"],
            **args["run"],
            "compliance": compliance,
        }
        result: dict[str, Any] = {"table": table(data)}
        if not self._task.check_mode:
            try:
                page, document = write_report(data, folder)
            except (OSError, ValueError, TypeError) as error:
                raise AnsibleActionFail(f"The report could not be written to {folder}: {error}. The check itself is "
                                        "done and changed nothing; make room or name another folder.") from None
            result.update(html=str(page), json=str(document), files={
                name: _written(folder / FILES[name], name, checked) for name in dict.fromkeys(args["formats"] or ())})
        return result


def _written(path: Path, name: str, checked: Checked) -> str:
    """Write one more form of the report; returns its path."""
    try:
        to_file(str(path), pieces(name, checked))
    except (CannotCheckError, FormatError) as error:
        raise AnsibleActionFail(f"{error} The check itself is done and changed nothing.") from None
    return str(path)


def _settings(documents: Sequence[Mapping[str, Any]], rules: Iterable[Rule], waivers: Iterable[Waiver],
              now: datetime) -> tuple[dict[str, Any], list[str]]:
    """The settings of each VM, and a sentence for each whose document cannot be judged: what one guest says of itself
    does not stop the others. Raises DocumentError where it is so for all of them."""
    found, strange = {}, []
    for document in documents:
        if document.get("kind") == "site":
            continue
        name = str(document.get("name", ""))
        try:
            found[name] = settings(rules, document, waivers, now=now)
        except DocumentError as error:
            strange.append(f"The document of VM '{name:.63}' {error}. It was not judged and has no settings; look into "
                           "that guest.")
    if strange and not found:
        raise DocumentError(" ".join(strange))
    return found, strange


def _inspected(document: Mapping[str, Any]) -> dict[str, Any]:
    """A VM document as the run report lists VMs, where the caller has not listed them."""
    addresses = document.get("addresses")
    return {
        "name": str(document.get("name", "")),
        "site": str(document.get("site") or ""),
        "uuid": document.get("uuid"),
        "address": str(addresses[0]) if isinstance(addresses, list) and addresses else None,
        "power": str(document.get("power") or "unknown"),
        "health": "unknown",
        "os": str(document["os"]) if document.get("os") else None,
    }


def _gate(report: Report, severity: str) -> dict[str, Any]:
    found = report.at_least(severity)
    if not found:
        return {"failed": False}
    rest = f" And {len(found) - _NAMED} more." if len(found) > _NAMED else ""
    named = " ".join(f"[{finding.rule}] {finding.sentence}" for finding in found[:_NAMED])
    return {"failed": True, "msg": f"{plural(len(found), 'finding')} of severity {severity} or worse. {named}{rest} "
                                   "Nothing was changed; fix the VMs or have the rules waived."}
