"""Faults under load, drawn from a seed: `python -m tests.faults --seconds 600 --seed 1 --rate 150`, or `make faults` for three seeds.

It starts a lab of its own, with three consumers in one group and two partitions. It sends events over HTTP, and injects one fault after
the other, or two at a time. At the end it looks for each acknowledged key among the rows of all consumers.

    target.py    the lab that is struck, and the network between its workers and brokers
    faults.py    every fault
    cluster.py   what the faults ask of Kafka, and change in it
    plan.py      which faults come, how long, and which of them overlap
    load.py      the events that are sent, and the rows that are read
    run.py       load and faults together, until every event is found
    outcome.py   what was sent, what was found, and what is wrong with it
    report.py    the table
    controls.py  runs that must find something, to show that this tool can
    soak.py      half an hour of load, watched by two streams and a page, that must leave each worker's memory flat
"""
