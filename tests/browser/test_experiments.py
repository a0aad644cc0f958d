"""The experiments from the page: consumers and brokers stopped, started and killed, and the proof that nothing is lost."""

import re

from playwright.sync_api import Page, expect

from labapp.lab import BROKERS, Lab
from tests.browser.person import SLOW, experiment, experiment_done, proof, proven, send, state
from tests.worker import PATIENCE, request

HISTORY = 1000


def test_stop_experiment(page: Page, whole_lab: Lab) -> None:
    """With the consumer stopped events wait, visibly; started again it reads them, and the page proves that none is missing."""
    send(page)
    proven(page, 1)
    experiment(page, "stop", "consumer")
    experiment_done(page)
    state(page, "consumer", "offline", timeout=2000 * PATIENCE)
    for number in range(4):
        send(page)
        proof(page, acknowledged=2 + number)

    expect(page.locator("#proof-line")).to_contain_text("sent 5, recorded 1, waiting 4, missing 0, twice 0. Nothing is lost: 4 events wait")
    assert page.locator("#events .body .row[data-state=waiting] .gap.open").count() == 4
    expect(page.locator("#age")).to_contain_text("no data from consumer since")
    page.reload()  # what waits is in Kafka, not in the page
    expect(page.locator("#events .body .row[data-state=waiting]")).to_have_count(4)

    experiment(page, "start", "consumer")
    state(page, "consumer", "online")
    proven(page, 5)
    expect(page.locator("#events .body .row[data-state=waiting]")).to_have_count(0)
    expect(page.locator("#experiment-log .proof-of").first).to_contain_text("sent 5, recorded 5, missing 0, twice 0")
    expect(page.locator("#steps li[data-step=again]")).to_have_class("done")


def test_kill_consumer_in_a_burst(page: Page, whole_lab: Lab) -> None:
    """Killed in the middle of a burst the consumer comes back by itself: the stream goes on without a gap or a double."""
    send(page, 100, "10 a second")
    expect(page.locator("#proof [data-count=acknowledged] dd")).to_have_text(re.compile(r"^[2-9]\d$"))
    experiment(page, "kill", "consumer")

    proven(page, 100)
    shown = page.evaluate("document.querySelector('#events-count').textContent")
    if int(shown.replace(",", "")) > HISTORY:  # earlier tests' events are there too, and a page that is opened asks for so many
        shown = f"{HISTORY:,}"
    state(page, "consumer", "online")
    page.reload()
    proven(page, 100)
    expect(page.locator("#events-count")).to_have_text(shown)


def test_kill_broker(page: Page, whole_lab: Lab) -> None:
    """With broker-1 killed events go on over broker-2, and the incident is told."""
    experiment(page, "stop", "broker-1")
    state(page, "broker-1", "away")
    send(page, 10, "10 a second")
    proven(page, 10)
    expect(page.locator(".box[data-name=broker-2]")).to_contain_text("leads partitions 0 1")
    expect(page.locator("#cluster")).to_contain_text("1 of 2 (not broker-1)")
    page.locator("#incidents summary").click()
    expect(page.locator("#incidents")).to_contain_text("broker-1 away")
    expect(page.locator("#incidents")).to_contain_text("leader moved")

    experiment_done(page)
    experiment(page, "start", "broker-1")
    state(page, "broker-1", "online")
    experiment_done(page)
    experiment(page, "kill", "broker-1")
    send(page, 10, "10 a second")
    proven(page, 20)


def test_both_brokers_down(page: Page, whole_lab: Lab) -> None:
    """With no broker left the page says so and offers to start them; what was sent meanwhile arrives once they are back."""
    for name in BROKERS:
        experiment(page, "stop", name)
        experiment_done(page)
    for name in BROKERS:
        state(page, name, "away")
    expect(page.locator("#cluster-note")).to_contain_text("No Kafka broker answers.")
    send(page)
    expect(page.locator("#events .body .row[data-state=posting]")).to_have_count(1)

    for name in BROKERS:
        experiment(page, "start", name)
        experiment_done(page)
    proven(page, 1)
    for name in BROKERS:
        state(page, name, "online")
    expect(page.locator("#cluster-note")).to_have_text("")


def test_second_consumer_and_fan_out(page: Page, whole_lab: Lab) -> None:
    """A second consumer of the group takes one of the partitions; another group gets every event too."""
    experiment(page, "start", "second-consumer")
    experiment_done(page)
    for name in ("consumer", "second-consumer"):
        expect(page.locator(f".box[data-name={name}]")).to_contain_text(re.compile(r"first-group, partition \d"), timeout=SLOW)
    experiment(page, "start", "fan-out")
    expect(page.locator(".box[data-name=fan-out]")).to_contain_text("second-group, partitions 0 1", timeout=SLOW)
    send(page, 10)
    proven(page, 10)

    page.locator("#events .body .row").first.click()
    expect(page.locator("#events .detail")).to_contain_text("in second-group")
    expect(page.locator("#cluster")).to_contain_text("lag of second-group")


def test_other_sites_start_no_experiment(lab: Lab) -> None:
    """Only a page of the lab's own address can ask for an experiment, and only with JSON."""
    port = lab.ports["producer"]
    own = {
        "Origin": f"http://localhost:{port}",
        "Host": f"localhost:{port}",
        "Content-Type": "application/json",
        "Sec-Fetch-Site": "same-origin",
    }
    wrong = [
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
    ]

    for changed in wrong:
        assert request(port, "POST", "/lab/stop/consumer", b"{}", own | changed).status == 403, changed
    rebound = {"Origin": "http://evil.example", "Host": "evil.example"}
    assert request(port, "POST", "/lab/stop/consumer", b"{}", own | rebound).status == 421
    assert request(port, "POST", "/lab/stop/controller", b"{}", own).status == 404
