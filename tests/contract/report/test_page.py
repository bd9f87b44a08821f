"""The report as a reader has it: in Chromium, by keyboard, on paper, on a telephone, without script, and hostile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from reports import EVIL, LONG, hostile, large, two_runs

Open = Callable[..., Page]
SCREENS = Path(__file__).resolve().parents[3] / "build" / "report"  # for people to look at
VIEWS: dict[str, dict[str, Any]] = {
    "light": {}, "dark": {"color_scheme": "dark"}, "narrow": {"width": 400}, "wide": {"width": 2200},
    "narrow-dark": {"width": 400, "color_scheme": "dark"},
}


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_runs(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def findings(page_file: Path) -> list[dict[str, Any]]:
    data = json.loads(page_file.with_suffix(".json").read_text())
    found: list[dict[str, Any]] = data["compliance"]["findings"]
    return found


def _count(page: Page, chosen: int, of: int) -> None:
    expect(page.locator("#count")).to_have_text(str(of) if chosen == of else f"{chosen} of {of}")


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_it_is_accessible_and_nothing_stands_over_the_edge(
    show: Open, page_file: Path, view: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    page = show(page_file, **view)
    page.get_by_role("button", name="Open all").click()
    for panel in page.locator("details.panel:not([open]) > summary").all():
        if panel.is_visible():
            panel.click()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found] == []
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{request.node.callspec.id}.png", full_page=True)


def test_the_findings_are_found_by_keyboard_alone(
    show: Open, page_file: Path, findings: list[dict[str, Any]]
) -> None:
    page, every = show(page_file), len(findings)
    _count(page, every, every)
    page.keyboard.press("/")
    page.keyboard.type("web OWNER")
    texts = [json.dumps(one).lower() for one in findings]
    _count(page, sum("web" in text and "owner" in text for text in texts), every)
    page.keyboard.press("Escape")
    _count(page, every, every)
    page.keyboard.press("Tab")  # by rule or by VM
    page.keyboard.type("By V")
    names = page.locator("#groups .title strong")
    assert set(names.all_inner_texts()) == {one["vm"] for one in findings}
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # past "Open all"
    page.keyboard.type("critical")
    critical = [one for one in findings if one["severity"] == "critical"]
    _count(page, len(critical), every)


@pytest.mark.parametrize("name", ["severity", "outcome", "site", "vm"])
def test_each_filter_shows_what_it_says(
    show: Open, page_file: Path, findings: list[dict[str, Any]], name: str
) -> None:
    page = show(page_file)
    for value in {one[name] for one in findings}:
        page.locator(f"select[data-filter={name}]").select_option(value)
        _count(page, sum(one[name] == value for one in findings), len(findings))
    page.locator("#search").fill("no such thing")
    expect(page.locator("#empty")).to_be_visible()


def test_what_is_new_and_what_is_gone(show: Open, page_file: Path, findings: list[dict[str, Any]]) -> None:
    page = show(page_file)
    new = sum(one.get("new", False) for one in findings)
    assert 0 < new < len(findings)
    page.get_by_role("button", name="show", exact=True).click()
    _count(page, new, len(findings))
    page.locator("select[data-filter=age]").select_option("known")
    page.get_by_role("button", name="Open all").click()
    ended = page.locator("#changes details.panel")
    assert ended.count() == 2  # resolved, and no longer looked at
    ended.nth(0).locator("summary").press("Enter")
    expect(ended.nth(0).locator(".item").first).to_be_visible()
    expect(page.locator("#findings").get_by_text("since 2026-01-12").first).to_be_attached()


def test_a_vm_leads_to_its_findings(show: Open, page_file: Path, findings: list[dict[str, Any]]) -> None:
    page = show(page_file)
    page.locator("#vm-rows").get_by_role("button", name="db").press("Enter")
    _count(page, sum(one["vm"] == "db" for one in findings), len(findings))


def test_one_framework_is_shown_at_a_time(show: Open, page_file: Path) -> None:
    page = show(page_file)
    data = json.loads(page_file.with_suffix(".json").read_text())["compliance"]["frameworks"]
    assert len(data) == 5
    for one in data:
        page.get_by_label("Framework", exact=True).select_option(label=one["title"])
        shown = page.locator(".framework:visible")
        assert shown.count() == 1
        totals = one["totals"]
        said = {summary.locator("b").inner_text() for summary in shown.locator("details > summary").all()}
        assert said == {str(count) for verdict, count in totals.items() if verdict != "controls" and count}
        assert shown.locator(".controls-list li").count() == totals["controls"]


def test_without_script_every_finding_can_be_read(
    show: Open, page_file: Path, findings: list[dict[str, Any]]
) -> None:
    page = show(page_file, java_script_enabled=False)
    assert page.locator("#groups .item").count() == len(findings)
    assert page.locator(".framework:visible").count() == 5
    assert page.locator(".filters:visible").count() == 0
    first = page.locator("#groups details").first
    first.locator("summary").press("Enter")
    expect(first.locator(".item").first).to_be_visible()


def test_with_and_without_script_it_says_the_same(show: Open, page_file: Path) -> None:
    plain, live = show(page_file, java_script_enabled=False), show(page_file)
    live.get_by_role("button", name="Open all").click()
    for place in ("#groups", "#vm-rows"):
        said = [re.sub(r"\s+", " ", page.locator(place).text_content() or "") for page in (plain, live)]
        assert said[0].replace(" ", "") == said[1].replace(" ", "")


def test_on_paper_everything_is_open(show: Open, page_file: Path, findings: list[dict[str, Any]]) -> None:
    page = show(page_file, color_scheme="dark")
    SCREENS.mkdir(parents=True, exist_ok=True)
    assert page.pdf(path=SCREENS / "print.pdf", format="A4", print_background=True).startswith(b"%PDF")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#groups .item:visible").count() == len(findings)
    assert page.locator(".filters:visible, nav:visible").count() == 0
    assert page.locator("#rules tbody tr").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.locator("#groups .item:visible").count() < len(findings)


@pytest.mark.parametrize("text", [EVIL, LONG], ids=["markup", "long"])
@pytest.mark.parametrize("width", [400, 1280])
def test_what_comes_from_outside_does_nothing(show: Open, tmp_path: Path, text: str, width: int) -> None:
    page = show(hostile(tmp_path, text), width=width)
    page.get_by_role("button", name="Open all").click()
    page.get_by_label("group").select_option("vm")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert not set("\x1b\u202e") & set(page.content())
    assert text[:20] in page.locator("#groups").inner_text()


def test_a_large_fleet_is_a_small_page(show: Open, tmp_path: Path) -> None:
    path = large(tmp_path, vms=5000, rules=100)
    assert path.stat().st_size < 15_000_000
    page = show(path)
    assert page.locator("*").count() < 10_000
    expect(page.locator("#count")).to_have_text("166,667")
    page.locator("#search").fill("vm-0042 rule-0")
    expect(page.locator("#count")).to_have_text("34 of 166,667")
    page.locator("#search").fill("")
    expect(page.locator("#count")).to_have_text("166,667")  # the groups are written anew a moment after the last key
    group = page.locator("#groups details").first
    group.locator("summary").click()
    expect(group.locator(".item")).to_have_count(50)
    group.get_by_role("button", name="more").click()
    expect(group.locator(".item")).to_have_count(100)
    page.get_by_label("Search VMs").fill("vm-4999")
    page.locator("#vm-rows").get_by_role("button", name="vm-4999").click()
    expect(page.locator("#count")).to_have_text("33 of 166,667")
