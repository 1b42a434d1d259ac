"""Devices and gateways of IBM Watson IoT Platform, on their own topics."""

import json
import os

from device import V5, V311, WRONG_PASSWORD, Device, command, expect

TOKEN = os.environ["WATSON_TOKEN"]
NOTIFY = "iot-2/type/gate/id/g1/notify"


def connecting(client_id, protocol=V311, token=TOKEN, user="use-token-auth", clean=True):
    device = Device(client_id, protocol, client_id=client_id, clean=clean)
    device.client.username_pw_set(user, token)
    return device


def gateway(protocol=V311, name="g1"):
    return connecting(f"g:app:gate:{name}", protocol).accepted()


def log_ins_by_client_id_and_token():
    for protocol in (V311, V5):
        for client_id in ("g:app:gate:g1", "d:app:mydevice:device1"):
            connecting(client_id, protocol).accepted().close()
        for client_id, token, user in (
            ("g:app:gate:g1", WRONG_PASSWORD, "use-token-auth"),
            ("g:app:gate:nobody", TOKEN, "use-token-auth"),
            ("g:nobody:gate:g1", TOKEN, "use-token-auth"),
            ("g:app:gate:a b", TOKEN, "use-token-auth"),
            ("g:app:" + "x" * 37 + ":g1", TOKEN, "use-token-auth"),
            ("a:app:gate:g1", TOKEN, "use-token-auth"),
            ("g:app:gate:g1", TOKEN, "somebody"),
            # Registered, with this token, but of another dialect.
            ("d:app:other:o1", TOKEN, "use-token-auth"),
        ):
            code, _ = connecting(client_id, protocol, token, user).connect()
            expect(code.value, 0x86, f"CONNACK of {client_id}")


def a_session_that_is_not_clean_is_refused():
    code, _ = connecting("g:app:gate:g1", V5, clean=False).connect()
    expect(code.value, 0x83, "CONNACK")
    code, _ = connecting("g:app:gate:g1", V311, clean=False).connect()
    # paho translates return code 3 of 3.1.1 into reason code 0x88.
    expect(code.value, 0x88, "CONNACK")


def events_of_itself_and_of_devices():
    device = connecting("d:app:mydevice:device1").accepted()
    expect(device.publish("iot-2/evt/status/fmt/json", '{"a":1}'), 0, "PUBACK")
    expect(device.publish("iot-2/evt/status/fmt/bin", "21"), 0, "PUBACK")
    expect(device.publish("iot-2/evt/status/fmt/mine", "hello", qos=0), 0, "PUBACK")
    device.close()
    gate = gateway()
    expect(gate.publish("iot-2/type/gate/id/g1/evt/status/fmt/txt", "up"), 0, "PUBACK")
    expect(gate.publish("iot-2/type/mydevice/id/device1/evt/status/fmt/json", "2"), 0, "PUBACK")
    gate.close()


def payloads_have_a_limit():
    gate = gateway(V5)
    expect(gate.publish("iot-2/evt/e/fmt/bin", b"x" * 131_072), 0, "131072 bytes")
    expect(gate.publish("iot-2/evt/e/fmt/bin", b"x" * 131_073), 0x97, "one more")
    gate.close()


def refusals_are_told_by_code():
    gate = gateway(V5)
    for topic, code in (
        ("iot-2/evt/status", 0x90),
        ("iot-2/type/a b/id/d/evt/e/fmt/json", 0x90),
        ("iot-2/type/mydevice/id/" + "x" * 37 + "/evt/e/fmt/json", 0x90),
        ("iot-2/type/mydevice/id/unknown/evt/e/fmt/json", 0x87),
        ("iot-2/type/mydevice/id/%41/evt/e/fmt/json", 0x90),
    ):
        expect(gate.publish(topic, "1"), code, topic)
    expect(gate.publish("iot-2/evt/e/fmt/json", "{"), 0x99, "JSON that is none")
    for topic in ("iot-2/#", "iot-2/cmd/+", "iot-2/type/gate/id/g2/notify"):
        expect(gate.subscribe(topic), 0x8F, topic)
    expect(gate.subscribe("iot-2/type/gate/id/g2/cmd/+/fmt/+"), 0x87, "another's commands")
    gate.close()


def commands_for_itself_and_for_devices():
    for protocol in (V311, V5):
        device = connecting("d:app:mydevice:device1", protocol).accepted()
        expect(device.subscribe("iot-2/cmd/+/fmt/+"), 1, "SUBACK")
        expect(command("mydevice:device1", "reboot", b"now")[0], 200, "the command")
        message = device.message()
        expect(message.topic, "iot-2/cmd/reboot/fmt/txt", "topic")
        expect((message.payload, message.qos), (b"now", 1), "payload and QoS")
        device.close()
        for topic in (
            "iot-2/type/mydevice/id/device1/cmd/+/fmt/+",
            "iot-2/type/mydevice/id/+/cmd/+/fmt/+",
            "iot-2/type/+/id/device1/cmd/reboot/fmt/txt",
            "iot-2/type/+/id/+/cmd/+/fmt/+",
        ):
            gate = gateway(protocol)
            expect(gate.subscribe(topic), 1, topic)
            expect(command("mydevice:device1", "reboot", b"now")[0], 200, topic)
            expected = "iot-2/type/mydevice/id/device1/cmd/reboot/fmt/txt"
            expect(gate.message().topic, expected, topic)
            gate.close()
        gate = gateway(protocol)
        expect(gate.subscribe("iot-2/type/gate/id/g1/cmd/+/fmt/json"), 1, "its own")
        expect(command("gate:g1", "reboot", b"now")[0], 404, "of another format")
        gate.close()


def notification(device, cause, code, request="publish", topic=None):
    message = device.message()
    expect(message.topic, NOTIFY, "topic of the notification")
    told = json.loads(message.payload)
    fields = ["Request", "Time", "Topic", "Type", "Id", "Client", "RC", "Message"]
    expect(list(told), fields, "fields")
    expect((told["Message"], told["RC"]), (cause, code), "cause")
    expect(told["Request"], request, "request")
    expect(told["Client"], "g:app:gate:g1", "client")
    expect(told["Time"][10] + told["Time"][-1], "TZ", "ISO 8601")
    if topic is not None:
        expect(told["Topic"], topic, "topic")
    return told


def of(device, event="e", fmt="json"):
    return f"iot-2/type/mydevice/id/{device}/evt/{event}/fmt/{fmt}"


def a_notification_for_every_cause():
    gate = gateway()
    expect(gate.subscribe(NOTIFY), 1, "SUBACK")
    rule = "Topic does not match with any allowed topic rules."
    for topic, cause, code in (
        ("iot-2/evt/status", rule, 400),
        ("iot-2/type/a b/id/d/evt/e/fmt/json", "Device type is not valid.", 400),
        (of("x" * 37), "Device id is not valid.", 400),
        (of("byhand"), "Gateway is not authorized for this device.", 403),
    ):
        # 3.1.1: told so, it is acknowledged and dropped.
        expect(gate.publish(topic, "1"), 0, topic)
        notification(gate, cause, code, topic=topic)
    expect(gate.publish(of("d1"), "{"), 0, "JSON that is none")
    told = notification(gate, "Payload does not match with the format of the topic.", 415)
    expect((told["Type"], told["Id"]), ("mydevice", "d1"), "type and id")
    # Two active devices, no more.
    expect(gate.publish(of("d1"), "1"), 0, "the first device")
    expect(gate.publish(of("d2"), "1"), 0, "the second device")
    expect(gate.publish(of("d3"), "1"), 0, "the third device")
    notification(gate, "Maximum number of devices per gateway has been reached.", 429)
    for topic, cause, code in (
        ("iot-2/cmd/x", rule, 400),
        ("iot-2/type/a b/id/d/cmd/+/fmt/+", "Device type is not valid.", 400),
        (
            "iot-2/type/mydevice/id/d4/cmd/+/fmt/+",
            "Maximum number of devices per gateway has been reached.",
            429,
        ),
    ):
        expect(gate.subscribe(topic), 0x80, topic)
        notification(gate, cause, code, "subscribe", topic)
    gate.close()
    # The count is reset on disconnect.
    gate = gateway()
    expect(gate.subscribe(NOTIFY), 1, "SUBACK")
    expect(gate.publish(of("d3"), "3"), 0, "the third device")
    # As many devices of the organization as may be.
    expect(gate.publish(of("d5"), "1"), 0, "one device too many")
    notification(gate, "Maximum number of devices per organization has been reached.", 507)
    # It is left alone for a while.
    expect(gate.publish(of("d5"), "1"), 0, "again")
    notification(gate, "Failed to create device due to internal errors.", 500)
    gate.close()


def without_notifications_a_refusal_ends_the_connection():
    gate = gateway()
    gate.client.publish("iot-2/evt/status", "1", qos=1)
    gate.disconnected()


def devices_are_registered_when_first_spoken_for():
    gate = gateway()
    expect(gate.publish(of("new1"), "1"), 0, "PUBACK")
    expect(gate.publish(of("new2"), "1", qos=0), 0, "QoS 0")
    expect(gate.subscribe("iot-2/type/mydevice/id/new3/cmd/+/fmt/+"), 1, "SUBACK")
    expect(command("mydevice:new3", "go", b"1")[0], 200, "the command")
    expect(gate.message().topic, "iot-2/type/mydevice/id/new3/cmd/go/fmt/txt", "topic")
    gate.close()


def devices_roam():
    first, second = gateway(), gateway(name="g2")
    for gate in (first, second, first):
        expect(gate.publish(of("roamer"), "1"), 0, "PUBACK")
    first.close()
    second.close()


def devices_do_not_roam():
    first = gateway()
    expect(first.publish(of("settled"), "1"), 0, "PUBACK")
    second = gateway(V5, name="g2")
    expect(second.publish(of("settled"), "1"), 0x87, "PUBACK")
    first.close()
    second.close()


def managed_devices_are_answered():
    for client_id, topic in (
        ("d:app:mydevice:device1", "iotdevice-1/mgmt/"),
        ("g:app:gate:g1", "iotdevice-1/type/gate/id/g1/mgmt/"),
        ("g:app:gate:g1", "iotdevice-1/type/mydevice/id/device1/mgmt/"),
    ):
        device = connecting(client_id).accepted()
        prefix = topic.replace("iotdevice-1", "iotdm-1").removesuffix("mgmt/")
        expect(device.subscribe(prefix + "response/+"), 1, "SUBACK")
        for request in ("manage", "unmanage"):
            payload = json.dumps({"d": {"lifetime": 3600}, "reqId": f"id-{request}"})
            expect(device.publish(topic + request, payload), 0, "PUBACK")
            message = device.message()
            expect(message.topic, f"{prefix}response/id-{request}", "topic of the response")
            expected = {"rc": 200, "reqId": f"id-{request}"}
            expect(json.loads(message.payload), expected, "response")
        # Without a request id nobody wants a response; the next one answers something else.
        expect(device.publish(topic + "manage", '{"d":{}}'), 0, "PUBACK")
        expect(device.subscribe(prefix + "+"), 1, "SUBACK")
        expect(device.publish(topic + "manage", '{"reqId":"last"}'), 0, "PUBACK")
        message = device.message()
        expect(message.topic, prefix + "response", "topic of the response")
        expect(json.loads(message.payload)["reqId"], "last", "request id")
        device.close()


def management_requests_are_commands_and_responses_events():
    gate = gateway()
    expect(gate.subscribe("iotdm-1/type/+/id/+/#"), 1, "SUBACK")
    request = json.dumps({"reqId": "b53eb43e-401c-453c-b8f5-94b73290c056"}).encode()
    status, _ = command("mydevice:device1", "iotdm-1:mgmt:initiate:device:reboot", request)
    expect(status, 200, "the command")
    message = gate.message()
    expected = "iotdm-1/type/mydevice/id/device1/mgmt/initiate/device/reboot"
    expect(message.topic, expected, "topic")
    expect(message.payload, request, "payload")
    response = json.dumps({"rc": 202, "reqId": json.loads(request)["reqId"]})
    topic = "iotdevice-1/type/mydevice/id/device1/response/"
    expect(gate.publish(topic, response), 0, "PUBACK")
    gate.close()


def many_devices_in_one_subscribe():
    gate = gateway()
    filters = [(f"iot-2/type/mydevice/id/many{n}/cmd/+/fmt/+", 1) for n in range(25)]
    gate.client.subscribe(filters)
    _mid, codes = gate.subacks.get(timeout=60)
    expect([code.value for code in codes], [1] * 20 + [0x80] * 5, "SUBACK")
    gate.close()


def a_flood_of_unknown_devices():
    gate = gateway()
    expect(gate.subscribe(NOTIFY), 1, "SUBACK")
    for n in range(300):
        gate.client.publish(of(f"flood{n}"), "1", qos=1)
    for _ in range(300):
        _mid, code, _props = gate.pubacks.get(timeout=60)
        expect(code.value, 0, "PUBACK")
    told = notification(gate, "Maximum number of devices per gateway has been reached.", 429)
    expect(told["Id"], "flood5", "the first one too many")
    expect(gate.publish("iot-2/evt/alive/fmt/json", "1"), 0, "PUBACK")
    gate.close()
