"""A producer as the workshop had it: Flask's own server, kafka-python, an answer once the event is acknowledged."""

import json
import os
from datetime import datetime

from flask import Flask, Response, jsonify, request
from kafka import KafkaProducer

app = Flask(__name__)
producer = KafkaProducer(
    bootstrap_servers=os.environ["BOOTSTRAP"].split(","),
    value_serializer=lambda event: json.dumps(event).encode("utf-8"),
    acks="all",
)


@app.post("/")
def post() -> Response:
    event = request.get_json()
    event["produced"] = datetime.now().strftime("%H:%M:%S:%f")[:-3]
    producer.send(os.environ["TOPIC"], event).get(timeout=10)
    return jsonify(event)


app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
