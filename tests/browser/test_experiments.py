"""The experiments from the page: consumers and brokers stopped, started and killed, and the proof that nothing is lost."""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from labapp.lab import BROKERS, Lab
from tests.browser.person import SLOW, experiment, experiment_done, guided, happened, proof, proven, send, state
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


def start_second_consumer(page: Page) -> None:
    """Returns once each of the two consumers has a partition."""
    experiment(page, "start", "second-consumer")
    experiment_done(page)
    for name in ("consumer", "second-consumer"):
        expect(page.locator(f".box[data-name={name}]")).to_contain_text(re.compile(r"first-group, partition \d"), timeout=SLOW)


def test_second_consumer_and_fan_out(page: Page, whole_lab: Lab) -> None:
    """A second consumer of the group takes one of the partitions; another group gets every event too."""
    start_second_consumer(page)
    experiment(page, "start", "fan-out")
    expect(page.locator(".box[data-name=fan-out]")).to_contain_text("second-group, partitions 0 1", timeout=SLOW)
    send(page, 10)
    proven(page, 10)

    page.locator("#events .body .row").first.click()
    expect(page.locator("#events .detail")).to_contain_text("in second-group")
    expect(page.locator("#cluster")).to_contain_text("lag of second-group")


def test_freeze_the_leader(page: Page, whole_lab: Lab) -> None:
    """With the leader of a partition frozen in a burst the other broker takes over; nothing is lost, and the thawed one is back."""
    guided(page, "freeze")
    leader = page.locator(".lane[aria-label=Kafka] .box", has_text=re.compile("leads partition")).first.get_attribute("data-name")
    send(page, 100, "10 a second")
    expect(page.locator("#proof [data-count=recorded] dd")).to_have_text(re.compile(r"^[1-9]\d$"))
    experiment(page, "freeze", leader)
    state(page, leader, "frozen")
    happened(page, f"{leader} frozen")
    happened(page, "leader moved")
    experiment(page, "thaw", leader)
    state(page, leader, "online")
    happened(page, f"{leader} thawed")

    proven(page, 100)
    expect(page.locator("#experiment-log .proof-of").first).to_contain_text("missing 0")
    expect(page.locator("#steps li[data-step=freeze]")).to_have_class("done")


def test_freeze_the_consumer(page: Page, whole_lab: Lab) -> None:
    """A frozen consumer loses its partitions to the other one; thawed it shares them again, and no event shows twice."""
    start_second_consumer(page)
    experiment(page, "freeze", "consumer")
    state(page, "consumer", "frozen")
    expect(page.locator(".box[data-name=second-consumer]")).to_contain_text("partitions 0 1", timeout=SLOW)
    send(page, 10)
    proven(page, 10)
    experiment(page, "thaw", "consumer")
    expect(page.locator(".box[data-name=consumer]")).to_contain_text(re.compile(r"first-group, partition \d"), timeout=SLOW)
    send(page, 10)
    proven(page, 20)


def test_freeze_the_producer(page: Page, whole_lab: Lab) -> None:
    """The producer serves the page, so nobody can thaw it from there: the lab does, and what was sent meanwhile arrives."""
    experiment(page, "freeze", "producer")
    state(page, "producer", "frozen")
    send(page)
    expect(page.locator("#send-problem")).to_contain_text("The producer is offline")
    expect(page.get_by_role("button", name="thaw producer")).to_have_count(0)

    proven(page, 1)
    state(page, "producer", "online")
    experiment_done(page)


def test_slow_consumer(page: Page, whole_lab: Lab) -> None:
    """With the slider up the lag grows while the group keeps its consumer; back at 0 it reads what waits, in a moment."""
    guided(page, "slow")
    slider, box = page.get_by_role("slider", name="Slow consumer"), page.locator(".box[data-name=consumer]")
    slider.fill("200")
    expect(box).to_contain_text("slow: 200 ms an event", timeout=SLOW)
    happened(page, "consumer slow: 200 ms an event")
    send(page, 100, "100 a second")
    proof(page, acknowledged=100)

    lag = int(page.locator("#proof [data-count=waiting] dd").inner_text())
    assert lag > 50  # it can do 5 a second
    expect(page.locator("#cluster .waits").first).to_be_visible()
    expect(page.locator("#proof-line")).to_contain_text("Nothing is lost")
    state(page, "consumer", "online")
    expect(page.locator("#incidents")).not_to_contain_text("consumer left")

    slider.fill("0")
    happened(page, "consumer no longer slow")
    proof(page, recorded=100, timeout=10_000 * PATIENCE)
    expect(box).not_to_contain_text("slow:")


def test_slow_broker(page: Page, whole_lab: Lab) -> None:
    """A slow broker slows down both partitions: the one it leads before *appended*, the one it copies after it. Nothing is lost."""
    guided(page, "slow-broker")
    for name in BROKERS:
        expect(page.locator(f".box[data-name={name}]")).to_contain_text(re.compile(r"leads partition \d"), timeout=SLOW)
    page.get_by_role("button", name="Slow one down").click()
    experiment_done(page)

    lines = told(page).locator(".done-steps li").all_inner_texts()
    found = [line for line in lines if "leads: produced" in line]
    assert [line.partition(":")[0] for line in found][:2] == ["Before", "Before"]
    [led_before, copied_before, led, copied] = [[ms(text) for text in re.findall(r" ([\d.,]+ m?s)[,.]", line)] for line in found]
    assert led[0] > led_before[0] + 30
    assert copied[0] < led[0] / 2
    assert copied[1] > copied_before[1] + 30
    happened(page, "no longer slow")
    proven(page, 130)


def ms(text: str) -> float:
    """A duration as the page shows it."""
    number, unit = text.replace(",", "").split()
    return float(number) * (1000 if unit == "s" else 1)


def test_a_restart_ends_slowness(page: Page, whole_lab: Lab) -> None:
    """A worker that starts is never slow, and its slider says so."""
    guided(page, "slow")
    page.get_by_role("slider", name="Slow consumer").fill("490")
    page.get_by_role("slider", name="Slow consumer").press("ArrowRight")
    experiment_done(page)
    expect(page.locator(".box[data-name=consumer]")).to_contain_text("slow: 500 ms an event", timeout=SLOW)
    experiment(page, "kill", "consumer")
    expect(page.locator(".box[data-name=consumer]")).not_to_contain_text("slow:", timeout=SLOW)
    state(page, "consumer", "online")
    expect(page.get_by_role("slider", name="Slow consumer")).to_have_value("0")
    send(page, 10)
    proven(page, 10)


def told(page: Page) -> Locator:
    """The newest experiment's line, with its steps."""
    return page.locator("#experiment-log > li").first


def test_one_key_for_all(page: Page, whole_lab: Lab) -> None:
    """Events with one key all go to one partition, and each is an event of its own."""
    guided(page, "one-key")
    page.get_by_role("button", name="Send 50 and 50").click()
    experiment_done(page)
    proven(page, 100)
    steps = told(page).locator(".done-steps li").all_inner_texts()

    shared, alone = (sorted(map(int, re.findall(r"(\d+) to partition", step))) for step in steps)
    assert sum(shared) == 50
    assert shared[0] > 0
    assert alone == [0, 50]
    happened(page, "one key for 50 events")
    page.reload()
    proven(page, 100)


def test_the_same_request_twice(page: Page, whole_lab: Lab) -> None:
    """A request that is sent again is two records and one row, which says that it was delivered twice."""
    guided(page, "twice")
    page.get_by_role("button", name="Send one twice").click()
    experiment_done(page)

    expect(told(page)).to_contain_text(re.compile(r"partition (\d), offset (\d+)\. Sent again with the same key: offset \d+"))
    expect(told(page)).to_contain_text("There is one row of it, and the row says: delivered 2 times.")
    proven(page, 1)
    expect(page.locator("#proof-line")).to_contain_text("1 was delivered again, and recorded once.")
    happened(page, "the same request twice")
    page.locator("#events .body .row").first.click()
    expect(page.locator("#events .detail")).to_contain_text("delivered 2 times, recorded once")


def test_a_record_that_cant_be_read(page: Page, whole_lab: Lab) -> None:
    """It goes to the dead letters with its reason, and the next event is recorded; sent again it comes back; mended it is a row."""
    guided(page, "unreadable")
    page.get_by_role("button", name="Write a bad record").click()
    experiment_done(page)
    proof(page, sent=1, dead=1, missing=0)
    expect(page.locator("#proof-line")).to_contain_text("in the dead-letter topic 1, missing 0")
    letters = page.locator("#records tbody tr")
    expect(letters.first).to_contain_text("not JSON")
    happened(page, "a record that can’t be read")
    send(page)
    proof(page, recorded=1)

    before = letters.count()
    letters.first.get_by_role("button", name="Send again").click()
    expect(told(page)).to_contain_text("It can’t be read either", timeout=SLOW)
    experiment_done(page)
    expect(letters).to_have_count(before + 1)

    letters.first.get_by_role("textbox").fill("")
    letters.first.get_by_role("textbox").press_sequentially('{"id": "mended"}')  # the page's keys, such as s, don't hear it
    letters.first.get_by_role("button", name="Send again").click()
    expect(told(page)).to_contain_text("It is recorded now.", timeout=SLOW)
    proven(page, 2)
    expect(page.locator("#events")).to_contain_text("mended")


def test_rewind(page: Page, whole_lab: Lab) -> None:
    """The group reads everything again: each event is delivered twice, and none has two rows."""
    guided(page, "rewind")
    send(page, 10)
    proven(page, 10)
    page.get_by_role("button", name="Back to the beginning").click()
    experiment_done(page)

    expect(told(page)).to_contain_text("Stopping consumer: only a group without members can be rewound.")
    expect(told(page)).to_contain_text(re.compile(r"\d+ events will be delivered again\."))
    happened(page, "first-group rewound")
    proven(page, 10)
    expect(page.locator("#proof-line")).to_contain_text("10 were delivered again, and recorded once.")
    expect(page.locator("#steps li[data-step=rewind]")).to_have_class("done")


def test_a_third_consumer(page: Page, whole_lab: Lab) -> None:
    """Of three members one has no partition, until another one is stopped."""
    guided(page, "third")
    page.get_by_role("button", name="Start two more").click()
    experiment_done(page)
    members = page.locator(".lane[aria-label=Consumers] .box")
    idle = members.filter(has_text="first-group, no partition")
    busy = members.filter(has_text=re.compile(r"first-group, partition \d"))
    expect(idle).to_have_count(1, timeout=SLOW)
    expect(busy).to_have_count(2, timeout=SLOW)
    happened(page, "a third consumer joins")

    stopped = busy.first.get_attribute("data-name")
    experiment(page, "stop", stopped)
    state(page, stopped, "offline")
    expect(idle).to_have_count(0, timeout=SLOW)
    expect(busy).to_have_count(2, timeout=SLOW)
    send(page, 10)
    proven(page, 10)


def test_lose_events_on_purpose(page: Page, whole_lab: Lab) -> None:
    """With acks=1 the page names what is missing, in red and with offsets; the same with acks=all adds nothing to it."""
    guided(page, "lose")
    line = page.locator("#proof-line")
    page.get_by_role("button", name="With acks=all").click()
    experiment_done(page, timeout=180_000 * PATIENCE)
    expect(told(page)).to_contain_text("Nothing is missing: what was acknowledged, the other broker had too.")
    expect(line).to_contain_text("missing 0")
    expect(line).to_have_attribute("data-missing", "false")

    page.get_by_role("button", name="With acks=1").click()
    expect(page.locator(".box[data-name=producer]")).to_contain_text("acks=1", timeout=SLOW)
    experiment_done(page, timeout=180_000 * PATIENCE)
    expect(told(page)).to_contain_text("missing. The leader alone had them, and had acknowledged them.")
    expect(line).to_have_attribute("data-missing", "true")
    expect(line).to_contain_text(re.compile(r"Missing: partition \d, offsets \d+ to \d+"))
    happened(page, "producer: acks=1")
    happened(page, "leader moved")
    expect(page.locator(".box[data-name=producer]")).not_to_contain_text("acks=1")


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


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("slow/consumer", {"ms": 501}),
        ("slow/consumer", {"ms": "1"}),
        ("slow/consumer", {"ms": True}),
        ("slow/broker-1", {"ms": 0, "seconds": 1}),
        ("slow/consumer", []),
        ("freeze/consumer", {}),
        ("freeze/consumer", {"seconds": 3600}),
        ("acks/producer", {"acks": "0"}),
        ("write/first-topic", {"key": "k"}),
        ("resend/dlq", {"place": "--all", "value": ""}),
        ("rewind/first-group", {"to": "--dry-run end"}),
    ],
)
def test_arguments(lab: Lab, path: str, body: object) -> None:
    """What an experiment can't take is refused before anything is done."""
    port = lab.ports["producer"]
    own = {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}", "Content-Type": "application/json"}

    assert request(port, "POST", f"/lab/{path}", json.dumps(body).encode(), own).status == 400
