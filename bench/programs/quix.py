"""Quix Streams with state: a row an event, told from one seen before by its key; its changelog is on by default."""

import os
from typing import Any

from quixstreams import Application, State

app = Application(
    broker_address=os.environ["BOOTSTRAP"],
    consumer_group=os.environ["GROUP"],
    auto_offset_reset="earliest",
    state_dir=os.environ["STATE"],
    commit_interval=0.2,
)


def record(event: dict[str, Any], state: State) -> None:
    row = state.get("row")
    state.set("row", {"deliveries": 1, "value": event} if row is None else {**row, "deliveries": row["deliveries"] + 1})


app.dataframe(app.topic(os.environ["TOPIC"], value_deserializer="json", key_deserializer="str")).update(record, stateful=True)
app.run()
