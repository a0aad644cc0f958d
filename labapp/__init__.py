"""A hands-on event-streaming lab: one Faust app that shows where an event's time goes and that no event is lost.

The path of one event through the files:

    static/main.js              the button stamps *clicked* and posts the event
    views/root.py               `POST /` stamps *received*
      event/record.py             makes key, value and headers of the request
      produce.py                  stamps *produced*, and sends until all in-sync replicas have the record
    patched/faust_fetching.py   the worker fetches records in batches; the broker stamped *appended*
    patched/faust_consumer.py   delivers batches to the agent, and commits what is recorded
    consume/agent.py            the agent stamps *consumed*
      consume/writer.py           writes what waits of a partition, and tries again until it is acknowledged
      consume/changes.py          what the batch changes: new rows, deliveries, expired rows
        event/row.py                makes a row of a record
      consume/dead_letters.py     what can't be recorded goes to the dead-letter topic
      patched/faust_table.py      the table writes rows to its changelog, and only then sets them
      consume/feed.py             tells open streams that there is news
    views/events_stream.py      sends the row to the page
    static/draw/waterfall.js    draws it as a bar

What is where. A module imports only what stands below it:

    views/, commands.py         one module for each group of addresses; the commands beside `worker`
    readiness.py                whether the worker is ready, and if not, why
    consume/, produce.py        the two halves of the app; experiments.py drives the local lab
    app.py                      the Faust app: settings, topic, table, the modules that it loads
    worker.py                   how a process starts, checks and ends
    web/                        what all HTTP answers share
    topics.py                   what must exist in Kafka
    patched/                    every override of a pinned library
    kafka/, observe/            plain Kafka clients; log, metrics, tracing
    event/                      what an event, a record and a row are: pure
    settings.py                 every setting

Apart from these: lab/ runs Kafka and the workers on one machine, static/ is the page.
"""
