"""Faust as its documentation has it: one agent that sets one table row an event. Defaults but for names, copies and the commits."""

import os
import sys

import faust

app = faust.App(
    os.environ["GROUP"],
    broker=[f"kafka://{server}" for server in os.environ["BOOTSTRAP"].split(",")],
    datadir=os.environ["DATA"],
    store="memory://",
    topic_partitions=4,
    topic_replication_factor=2,
    broker_commit_interval=0.2,
)
rows = app.Table("rows", key_type=str)


@app.agent(app.topic(os.environ["TOPIC"], key_type=str, key_serializer="raw", value_serializer="json"))
async def record(stream: faust.StreamT) -> None:
    async for key, event in stream.items():
        rows[key] = event


sys.argv[1:] = ["worker", "-l", "info", "--without-web"]
app.main()
