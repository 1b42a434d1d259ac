"""Clients as Octopus' MQTT options make them: MQTT 3.1 and 3.1.1 by every scheme."""

import base64
import os

import paho.mqtt.client as paho
from device import V311, Device, command, expect

V31 = paho.MQTTv31
CA = os.environ.get("CA")
UNIX = os.environ.get("UNIX_SOCKET")
# A name of a device in a cluster, and its unique id: both forms of a dynamic topic.
NN = "octopus/default/living-room-fan"
UID = "octopus/835aea2e-5f80-4d14-88f5-40c4bda41aa3"


def by_scheme(scheme, protocol, client_id="octopus", **settings):
    port = int(os.environ.get(f"{scheme.upper()}_PORT", os.environ["LANDFALL_MQTT_PORT"]))
    transport = {"ws": "websockets", "wss": "websockets", "unix": "unix"}.get(scheme, "tcp")
    device = Device(
        "sensor01", protocol, client_id=client_id, transport=transport, port=port, **settings
    )
    if scheme in ("tls", "wss"):
        device.client.tls_set(ca_certs=CA)
    if transport == "websockets":
        device.client.ws_set_options(
            path="/mqtt", headers={"X-Site": "north", "X-Forwarded-For": "192.0.2.1"}
        )
    return device


def every_scheme_and_version():
    for scheme in ("tcp", "tls", "ws", "wss", "unix"):
        for protocol in (V31, V311):
            device = by_scheme(scheme, protocol)
            if scheme == "unix":
                code = connect_unix(device)
            else:
                code, _ = device.connect()
            expect(code.value, 0, f"CONNACK by {scheme}")
            expect(device.subscribe("command/inbox//#"), 1, "SUBACK")
            expect(device.publish(f"{NN}/{scheme}", "1"), 0, "PUBACK")
            expect(command("sensor01", "on", b"1")[0], 200, "the command")
            expect(device.message().payload, b"1", "payload")
            device.close()


def connect_unix(device):
    device.client.connect(UNIX, 1, keepalive=30)
    device.client.loop_start()
    return device.connacks.get(timeout=60)[0]


def client_ids():
    for protocol, client_id, expected in (
        (V31, "x" * 23, 0),
        (V31, "x" * 24, 0),
        (V311, "x" * 24, 0),
        (V311, "", 0),
    ):
        device = by_scheme("tcp", protocol, client_id)
        code, _ = device.connect()
        expect(code.value, expected, f"client id of {len(client_id)} characters")
        device.close()


def clean_session_only():
    for protocol in (V31, V311):
        code, _ = by_scheme("tcp", protocol, clean=False).connect()
        # paho translates return code 3 of 3.1.1 into reason code 0x88.
        expect(code.value, 0x88, "CONNACK")


def topics_and_levels_of_service():
    device = by_scheme("tcp", V311).accepted(keepalive=30)
    for topic in (NN, UID):
        for qos in (0, 1, 2):
            expect(device.publish(topic, f'{{"qos":{qos}}}', qos=qos), 0, "acknowledgement")
    expect(device.publish(NN, '{"retained":true}', retain=True), 0, "retained")
    device.close()


def messages_keep_their_order():
    device = by_scheme("tcp", V311).accepted()
    for n in range(200):
        device.client.publish(NN, f"{n}", qos=n % 3)
    for _ in range(200):
        device.pubacks.get(timeout=60)
    device.close()


def wills():
    for topic, payload, qos, retain in (
        ("octopus/gone", b"raw", 0, False),
        (f"{NN}/$will", b"bye", 1, False),
        (f"{UID}/$will", b"bye", 2, True),
    ):
        device = by_scheme("tcp", V311)
        device.client.will_set(topic, payload, qos=qos, retain=retain)
        device.accepted()
        # Without a DISCONNECT.
        device.client.loop_stop()
        device.client.socket().close()


def payloads_in_base64():
    device = by_scheme("tcp", V311)
    device.client.will_set(f"{NN}/$will", base64.b64encode(b'{"gone":true}'), qos=1)
    device.accepted()
    expect(device.publish(NN, base64.b64encode(b'{"on":true}')), 0, "PUBACK")
    expect(device.publish(NN, base64.b64encode(b"\xff\x00"), qos=2), 0, "PUBACK")
    expect(device.subscribe("command/inbox//#"), 1, "SUBACK")
    expect(command("sensor01", "off", b"\xfe\x01")[0], 200, "the command")
    expect(base64.b64decode(device.message().payload), b"\xfe\x01", "payload")
    device.client.loop_stop()
    device.client.socket().close()
