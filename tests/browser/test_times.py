"""What the page measures and keeps: marks beside the stages, the group's lag, and files of a run."""

import csv
import io
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Download, Page, expect

from labapp.event.stages import STAGES
from labapp.lab import Lab
from tests.browser.person import SLOW, experiment, experiment_done, proof, proven, send, state
from tests.worker import request

EVENTS = 9
SEEN_WITHIN_US = 20_000
# From the capture of a click to the moment at which its row stands in the document as recorded, by the browser's clock.
STOPWATCH = """() => {
    window.watched = [];
    let clicked = null; // {at: ms, top: the newest event before the click}
    const newest = () => document.querySelector("#events .body .row[aria-rowindex='2']");
    const text = (row) => row && row.querySelector(".c-id").textContent + row.querySelector(".c-time").textContent;
    addEventListener("click", (click) => { clicked = {at: click.timeStamp, top: text(newest())}; }, true);
    new MutationObserver(() => {
        if (!clicked || newest()?.dataset.state !== "recorded" || text(newest()) === clicked.top) return;
        window.watched.push([newest().querySelector(".c-id").textContent, performance.now() - clicked.at]);
        clicked = null;
    }).observe(document.querySelector("#events"), {subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"]});
}"""


def saved(page: Page, button: str) -> str:
    return text_of(lambda: page.get_by_role("button", name=button, exact=True).click(), page)[1]


def text_of(save: Callable[[], None], page: Page) -> tuple[str, str]:
    """The name and the text of the file that the page saves."""
    with page.expect_download() as waiting:
        save()
    download: Download = waiting.value
    return download.suggested_filename, Path(download.path()).read_bytes().decode()


def lines_of(page: Page) -> list[dict[str, Any]]:
    return [json.loads(line) for line in saved(page, "JSON lines").splitlines()]


@pytest.mark.alone
def test_seen_by_a_stopwatch(page: Page) -> None:
    """Clicked to seen is what a stopwatch in the browser says, and it is shown in the opened event."""
    send(page)
    proven(page, 1)  # by now the list has the events of before
    page.evaluate(STOPWATCH)
    for number in range(2, EVENTS + 2):
        send(page)
        proven(page, number)
        expect(page.locator("#newest [data-mark=seen]")).to_be_visible()
    ours = {f"#{line['value']['id']}": line["clicked_to_seen_us"] for line in lines_of(page) if line["clicked_to_seen_us"] is not None}
    watched = {name: round(ms * 1000) for name, ms in page.evaluate("window.watched")}

    differences = [ours[name] - watched_us for name, watched_us in watched.items()]
    assert len(differences) == EVENTS
    assert abs(median(differences)) < SEEN_WITHIN_US, (ours, watched)
    assert median(watched.values()) > SEEN_WITHIN_US, "a page that told 0 would fail"
    page.locator("#events .body .row").first.click()
    expect(page.locator("#events .detail tr[data-mark=seen]")).to_contain_text(re.compile(r"clicked to seen, .*: \d"))


def test_marks_beside_the_stages(page: Page) -> None:
    """Acknowledged, committed and seen have their times, and the whole ends at recorded all the same."""
    send(page)
    proven(page, 1)
    for name in ("acknowledged", "committed", "seen"):
        expect(page.locator(f"#newest [data-mark={name}]")).to_be_visible()
    page.locator("#events .body .row").first.click()
    expect(page.locator("#events .detail .beside")).not_to_contain_text("not known")

    [line] = [line for line in lines_of(page) if line["clicked_to_seen_us"] is not None]
    stages, marks = line["stages"], line["marks"]
    assert stages["produced_us"] <= marks["acknowledged_us"]
    assert stages["consumed_us"] <= marks["committed_us"] <= stages["recorded_us"] + 5_000_000
    assert stages["clicked_us"] < marks["seen_us"]
    expect(page.locator("#events .detail .say")).to_contain_text("from clicked to recorded")


def test_lag_and_age_while_the_consumer_is_stopped(page: Page, whole_lab: Lab) -> None:
    """The page says how many wait, for how long, and that nobody is there; both go back to nothing after the start."""
    group = page.locator("#group")
    expect(group).to_have_text("first-group: 1 member. No event waits.")
    experiment(page, "stop", "consumer")
    experiment_done(page)
    state(page, "consumer", "offline")
    send(page, 10)
    proof(page, acknowledged=10, waiting=10)
    expect(group).to_have_text(re.compile(r"first-group: no member\. 10 events wait, the oldest for \d+ s\."), timeout=SLOW)
    first = age(page)
    page.wait_for_function(
        "(first) => Number(/for (\\d+) s/.exec(document.getElementById('group').textContent)?.[1]) > first + 1", arg=first
    )

    experiment(page, "start", "consumer")
    proven(page, 10)
    expect(group).to_have_text("first-group: 1 member. No event waits.", timeout=SLOW)
    [found] = [found for found in request(whole_lab.ports["producer"], "GET", "/cluster").json["groups"] if found["name"] == "first-group"]
    assert [one["oldest_seconds"] for one in found["partitions"]] == [0, 0]


def age(page: Page) -> int:
    return int(re.search(r"for (\d+) s", page.locator("#group").inner_text())[1])


def test_a_run_can_be_saved(page: Page, lab: Lab) -> None:
    """As CSV and as JSON lines, the events are those of the consumer, stage by stage; the filter chooses."""
    key = '=1+1;"x",2'
    body = json.dumps({"note": "=2+2", "id": "by hand"}).encode()
    request(lab.ports["producer"], "POST", "/", body, {"Content-Type": "application/json", "Idempotency-Key": key})
    send(page, 10)
    proven(page, 10)
    expect(page.locator("#events .body")).to_contain_text("#by hand")
    expect(page.locator("#newest [data-mark]")).to_have_count(3)
    rows = {row["key"]: row for row in request(lab.ports["consumer"], "GET", "/events?limit=50").json["events"]}
    lines = {line["key"]: line for line in lines_of(page)}
    table = {exact(line["key"]): line for line in csv.DictReader(io.StringIO(saved(page, "CSV"), newline=""), strict=True)}

    assert f"{len(lines):,}" == page.locator("#events-count").inner_text()
    assert rows.keys() <= lines.keys() == table.keys()
    assert key in rows
    for name, row in rows.items():
        line, cells = lines[name], table[name]
        ahead_us = round(row["value"].get("clock_ahead_ms", 0) * 1000)
        expected = {f"{stage}_us": row["stages"][f"{stage}_us"] for stage in STAGES}
        if expected["clicked_us"] is not None:
            expected["clicked_us"] -= ahead_us
        assert (line["value"], line["stages"], line["state"]) == (row["value"], expected, "recorded")
        assert json.loads(cells["value"]) == row["value"]
        assert [cells["topic"], cells["partition"], cells["offset"], cells["deliveries"]] == [
            str(row[field]) for field in ("topic", "partition", "offset", "deliveries")
        ]
        assert {stage: int(cells[stage]) if cells[stage] else None for stage in expected} == expected
        for mark, us in line["marks"].items():
            assert us is None or cells[mark] == str(us)  # the table was saved later
    page.locator("#filter").fill("by hand")
    expect(page.locator("#events .body .row")).to_have_count(1)
    assert [line["key"] for line in lines_of(page)] == [key]


def exact(cell: str) -> str:
    """A cell that begins with a quote is JSON."""
    return json.loads(cell) if cell.startswith('"') else cell


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_waterfall_can_be_saved_as_a_picture(page: Page, scheme: str) -> None:
    """The SVG needs nothing from elsewhere, has a bar for each gap, and the texts that the page has."""
    page.emulate_media(color_scheme=scheme)
    send(page)
    proven(page, 1)
    expect(page.locator("#newest [data-mark=committed]")).to_be_visible()
    page.locator("#events .body .row").first.click()
    said = page.locator("#events .detail .say").inner_text()
    file, text = text_of(lambda: page.get_by_role("button", name="Save as picture (SVG)").click(), page)

    root = ElementTree.fromstring(text)
    texts = " ".join(root.itertext())
    [total, longest] = re.match(r"(.*? from clicked to recorded\.) (Longest: \w, \w+ to \w+)", said).groups()
    assert re.fullmatch(r"event-[\w-]+\.svg", file)
    assert total in texts
    assert longest in texts
    assert all(f"{start} to {end}" in texts for start, end in pairwise(STAGES))
    assert all(mark in texts for mark in ("acknowledged", "committed", "seen"))
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"var\(|class=|<style|href=", text)
    fills = {shape.get("fill") for shape in root.iter("{http://www.w3.org/2000/svg}rect")}
    assert ("#fff" in fills, "#181e26" in fills) == (scheme == "light", scheme == "dark")
    assert len(fills) >= 6
