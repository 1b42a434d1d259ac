"""Devices of Azure IoT Hub and of Eclipse Hono, with paho-mqtt on their own topics."""

import base64
import hashlib
import hmac
import os
import time
import urllib.parse

from device import V5, V311, Device, command, expect

KEY = base64.b64decode(os.environ["DEVICE_KEY"])
HOST = "app.example.com"


def signature(device, expiry=None, key=KEY, resource=None):
    """A shared access signature, as Azure's device SDKs make them."""
    resource = urllib.parse.quote_plus(resource or f"{HOST}/devices/{device}")
    expiry = int(time.time()) + 3600 if expiry is None else expiry
    text = f"{resource}\n{expiry}".encode()
    mac = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest())
    return f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote_plus(mac)}&se={expiry}"


def azure(device, password, protocol=V311, clean=True):
    connecting = Device(device, protocol, client_id=device, clean=clean)
    user = f"{HOST}/{device}/?api-version=2021-04-12"
    connecting.client.username_pw_set(user, password)
    return connecting


def azure_log_ins():
    for protocol in (V311, V5):
        azure("sensor01", os.environ["SENSOR_PASSWORD"], protocol).accepted().close()
        azure("keyed01", signature("keyed01"), protocol).accepted().close()
        for device, password in (
            ("keyed01", signature("keyed01", key=b"another key")),
            ("keyed01", signature("keyed01", expiry=int(time.time()) - 60)),
            ("keyed01", signature("sensor01")),
            ("keyed01", signature("keyed01", resource=HOST)),
            ("sensor01", signature("sensor01")),
            ("nobody", signature("nobody")),
            # Of another dialect, whose key it is nevertheless.
            ("plain01", signature("plain01")),
        ):
            code, _ = azure(device, password, protocol).connect()
            expect(code.value, 0x86, f"CONNACK of {device}")
    code, _ = azure("keyed01", signature("keyed01"), clean=False).connect()
    # paho translates return code 3 of 3.1.1 into reason code 0x88.
    expect(code.value, 0x88, "CONNACK of a session that is not clean")


def azure_messages():
    device = azure("keyed01", signature("keyed01"), V5).accepted()
    events = "devices/keyed01/messages/events/"
    expect(device.publish(events, '{"a":1}'), 0, "PUBACK")
    bag = "%24.ct=application%2Fjson&%24.ce=utf-8&%24.mid=m-1&tempAlert=true"
    expect(device.publish(events + bag, "2"), 0, "PUBACK")
    for topic, code in (
        ("devices/other/messages/events/", 0x87),
        ("devices/keyed01/messages/event/", 0x90),
        (events + "a=%zz", 0x90),
        ("$iothub/twin/GET/?$rid=1", 0x90),
    ):
        expect(device.publish(topic, "1"), code, topic)
    expect(device.subscribe("devices/keyed01/messages/devicebound/#"), 1, "SUBACK")
    expect(device.subscribe("devices/other/messages/devicebound/#"), 0x87, "another's")
    expect(device.subscribe("$iothub/methods/POST/#"), 0x8F, "methods")
    expect(command("keyed01", "set-temp", b"21")[0], 200, "the command")
    message = device.message()
    head, bag = message.topic.rsplit("/", 1)
    expect(head, "devices/keyed01/messages/devicebound", "topic")
    properties = dict(urllib.parse.parse_qsl(bag))
    expected = {
        "$.to": "/devices/keyed01/messages/deviceBound",
        "$.ct": "text/plain",
        "command": "set-temp",
    }
    expect(properties, expected, "properties")
    device.close()


def hono_messages():
    device = Device("sensor01", V311).accepted()
    for topic in ("telemetry", "t", "event/?content-type=text%2Fplain&foo=b%20r"):
        expect(device.publish(topic, "1", qos=1), 0, topic)
    expect(device.publish("t", "1", qos=0), 0, "QoS 0")
    expect(device.subscribe("c///q/#"), 1, "SUBACK")
    expect(command("sensor01", "req-1:on", b"1")[0], 200, "the command")
    expect(device.message().topic, "c///q/req-1/on", "topic")
    expect(device.publish("c///s/req-1/200", "done"), 0, "response")
    expect(command("sensor01", "off", b"1")[0], 200, "the one-way command")
    expect(device.message().topic, "c///q//off", "topic")
    device.close()
    gateway = Device("gateway01", V5).accepted()
    expect(gateway.publish("telemetry/app/sensor02", "1"), 0, "for another")
    expect(gateway.publish("e//sensor02", "1"), 0, "for another")
    for topic, code in (
        ("telemetry/app/sensor03", 0x87),
        ("telemetry/other/sensor02", 0x90),
        ("telemetry/app", 0x90),
        ("c//sensor02/s/req-1/abc", 0x90),
    ):
        expect(gateway.publish(topic, "1"), code, topic)
    expect(gateway.subscribe("command/app/sensor02/req/#"), 1, "SUBACK")
    expect(command("sensor02", "on", b"1")[0], 200, "the command")
    expect(gateway.message().topic, "command/app/sensor02/req//on", "topic")
    expect(gateway.subscribe("command/other/sensor02/req/#"), 0x8F, "another tenant")
    gateway.close()
    code, _ = Device("sensor01", V311, clean=False).connect()
    expect(code.value, 0x88, "CONNACK of a session that is not clean")
