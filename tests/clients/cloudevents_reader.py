"""Reads messages with the official CloudEvents SDK: one JSON object a line in, one out.

In: {"binding": "http" or "kafka", "headers": {…}, "key": text or null, "body": Base64}.
Out: {"attributes": {…}, "data": Base64 of bytes, or the JSON value}.
"""

import base64
import json
import sys

from cloudevents.core.bindings import http, kafka


def read(message):
    body = base64.b64decode(message["body"])
    if message["binding"] == "http":
        return http.from_http_event(http.HTTPMessage(headers=message["headers"], body=body))
    headers = {name: value.encode() for name, value in message["headers"].items()}
    return kafka.from_kafka_event(
        kafka.KafkaMessage(headers=headers, key=message["key"], value=body)
    )


for line in sys.stdin:
    event = read(json.loads(line))
    attributes = {name: str(value) for name, value in event.get_attributes().items()}
    data = event.get_data()
    if isinstance(data, (bytes, bytearray)):
        data = {"base64": base64.b64encode(data).decode()}
    print(json.dumps({"attributes": attributes, "data": data}), flush=True)
