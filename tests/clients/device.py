"""A paho-mqtt client that keeps what the server says to it, in order."""

import os
import queue
import urllib.request

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HOST = "127.0.0.1"
PORT = int(os.environ["LANDFALL_MQTT_PORT"])
API = f"http://{HOST}:{os.environ['LANDFALL_API_PORT']}"
TOKEN = os.environ["LANDFALL_TOKEN"]
PASSWORDS = {
    "sensor01": os.environ["SENSOR_PASSWORD"],
    "gateway01": os.environ["GATEWAY_PASSWORD"],
}
WRONG_PASSWORD = os.environ["WRONG_PASSWORD"]

# Bounds a hang; never a measure.
DEADLINE = 60

V311 = paho.MQTTv311
V5 = paho.MQTTv5


def properties(packet, **values):
    """Properties of a packet type, by paho's names."""
    result = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(result, name, value)
    return result


class Device:
    """One connection of a device of application `app`."""

    def __init__(self, name, protocol, client_id=None, clean=True, manual_ack=False, transport="tcp", port=PORT):
        self.name = name
        self.port = port
        self.protocol = protocol
        self.clean = clean
        self.connacks = queue.Queue()
        self.pubacks = queue.Queue()
        self.subacks = queue.Queue()
        self.messages = queue.Queue()
        self.disconnects = queue.Queue()
        settings = {} if protocol == V5 else {"clean_session": clean}
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{name}-paho" if client_id is None else client_id,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=manual_ack,
            transport=transport,
            **settings,
        )
        self.client.username_pw_set(f"{name}@app", PASSWORDS.get(name))
        self.client.on_connect = lambda _c, _u, flags, code, props: self.connacks.put(
            (code, props, flags)
        )
        self.client.on_publish = lambda _c, _u, mid, code, props: self.pubacks.put((mid, code, props))
        self.client.on_subscribe = lambda _c, _u, mid, codes, props: self.subacks.put((mid, codes))
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_disconnect = lambda _c, _u, flags, code, props: self.disconnects.put(
            (code, flags.is_disconnect_packet_from_server, props)
        )

    def password(self, password):
        self.client.username_pw_set(f"{self.name}@app", password)
        return self

    def connect(self, keepalive=60, props=None):
        """Connects and returns CONNACK: its reason code and properties."""
        settings = {}
        if self.protocol == V5:
            settings = {"clean_start": self.clean, "properties": props}
        self.client.connect(HOST, self.port, keepalive=keepalive, **settings)
        self.client.loop_start()
        code, props, _flags = self.connacks.get(timeout=DEADLINE)
        return code, props

    def accepted(self, **settings):
        """Connects, and is accepted."""
        code, _props = self.connect(**settings)
        expect(code.value, 0, "CONNACK")
        return self

    def publish(self, topic, payload, qos=1, props=None, retain=False):
        """Publishes and returns the reason code of the acknowledgement."""
        self.client.publish(topic, payload, qos=qos, retain=retain, properties=props)
        _mid, code, _props = self.pubacks.get(timeout=DEADLINE)
        return code.value

    def subscribe(self, topic, qos=1, props=None):
        """Subscribes to one filter and returns the code it got."""
        options = {"properties": props} if self.protocol == V5 else {}
        self.client.subscribe(topic, qos=qos, **options)
        _mid, codes = self.subacks.get(timeout=DEADLINE)
        expect(len(codes), 1, "codes in SUBACK")
        return codes[0].value

    def message(self):
        return self.messages.get(timeout=DEADLINE)

    def disconnected(self):
        """Waits for the end: the reason code, and whether the server sent it in a packet."""
        code, from_server, _props = self.disconnects.get(timeout=DEADLINE)
        return code.value, from_server

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def command(device, name, body, query=""):
    """Sends a command over HTTP and returns status and body."""
    request = urllib.request.Request(
        f"{API}/api/command/v1alpha1/apps/app/devices/{device}?command={name}{query}",
        data=body,
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()


def expect(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")
