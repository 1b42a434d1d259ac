"""paho-mqtt in WebSocket, plain and over TLS."""

import os

from device import V5, V311, Device, command, expect

PORTS = {False: int(os.environ["WS_PORT"]), True: int(os.environ["WSS_PORT"])}


def publishes_and_takes_commands():
    for secure, port in PORTS.items():
        for protocol in (V311, V5):
            device = Device("sensor01", protocol, transport="websockets", port=port)
            device.client.ws_set_options(path="/mqtt")
            if secure:
                device.client.tls_set(ca_certs=os.environ["CA"])
            device.accepted()
            expect(device.subscribe("command/inbox//#"), 1, "granted")
            status, _ = command("sensor01", "go", b"7")
            expect(status, 200, "the command's status")
            expect(device.message().topic, "command/inbox//go", "topic")
            for payload in ("1", "x" * 60_000):
                expect(device.publish("t", payload), 0, "PUBACK")
            device.close()
