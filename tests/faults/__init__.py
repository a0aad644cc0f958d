"""Faults under load, drawn from a seed: `python -m tests.faults --seconds 600 --seed 1 --rate 150`, or `make faults` for three seeds.

Starts a lab of its own with three consumers in one group of two partitions, sends events over HTTP, and strikes it with one fault
after the other, or with two at a time. At the end each acknowledged key is looked for among the rows of all consumers.

    target.py    the lab that is struck, and the network between its workers and brokers
    faults.py    every fault
    cluster.py   what they ask of Kafka, and change in it
    plan.py      which faults come, how long, and which of them overlap
    load.py      the events that are sent, and the rows that are read
    run.py       load and faults together, until every event is found
    outcome.py   what was sent, what was found, and what is wrong with it
    report.py    the table
    controls.py  runs that must find something: they show that this tool can
    soak.py      half an hour of load, watched by two streams and a page, that must leave each worker's memory flat
"""
