"""Inbox subscriptions, and commands that arrive by them."""

import threading

from device import V5, V311, Device, command, expect, properties

NO_INBOX = ["temp", "#", "command/#", "command/inbox//one", "command/inbox/sensor01/one"]
OF_OTHERS = ["command/inbox/sensor02/#", "command/inbox/gateway01/#", "command/inbox/nobody/#"]


def suback_tells_why():
    device = Device("sensor01", V5).accepted()
    for qos, granted in [(0, 0), (1, 1), (2, 1)]:
        expect(device.subscribe("command/inbox/#", qos), granted, f"granted QoS of {qos}")
    for topic in NO_INBOX:
        expect(device.subscribe(topic), 0x8F, topic)
    for topic in OF_OTHERS:
        expect(device.subscribe(topic), 0x87, topic)
    device.close()


def suback_of_3_1_1_has_one_failure_code():
    device = Device("sensor01", V311).accepted()
    for topic in NO_INBOX + OF_OTHERS:
        expect(device.subscribe(topic), 0x80, topic)
    expect(device.subscribe("command/inbox//#"), 1, "its own inbox")
    device.close()


def shared_subscriptions_end_the_connection():
    device = Device("sensor01", V5).accepted()
    device.client.subscribe("$share/group/command/inbox/#", qos=1)
    expect(device.disconnected(), (0x9E, True), "DISCONNECT")


def a_command_is_acknowledged_by_the_device():
    for protocol in [V311, V5]:
        device = Device("sensor01", protocol).accepted()
        expect(device.subscribe("command/inbox//#"), 1, "SUBACK")
        status, body = command("sensor01", "set-temp", b"21")
        expect(status, 200, body)
        expect(b'"acknowledged"' in body, True, body)
        message = device.message()
        expect(message.topic, "command/inbox//set-temp", "topic")
        expect(message.payload, b"21", "payload")
        expect(message.qos, 1, "QoS")
        if protocol == V5:
            expect(message.properties.ContentType, "text/plain", "content type")
        device.close()


def subscription_identifiers_come_back():
    device = Device("sensor01", V5).accepted()
    for topic, identifier in [("command/inbox/#", 7), ("command/inbox//#", 300)]:
        props = properties("SUBSCRIBE", SubscriptionIdentifier=identifier)
        expect(device.subscribe(topic, props=props), 1, "SUBACK")
    command("sensor01", "once", b"")
    message = device.message()
    expect(message.topic, "command/inbox//once", "topic")
    expect(sorted(message.properties.SubscriptionIdentifier), [7, 300], "identifiers")
    command("sensor01", "next", b"")
    expect(device.message().topic, "command/inbox//next", "one message per topic")
    device.close()


def a_device_takes_no_more_at_once_than_its_receive_maximum():
    device = Device("sensor01", V5, manual_ack=True)
    device.accepted(props=properties("CONNECT", ReceiveMaximum=1))
    expect(device.subscribe("command/inbox//#"), 1, "SUBACK")
    senders = [threading.Thread(target=command, args=("sensor01", name, b"")) for name in "ab"]
    for sender in senders:
        sender.start()
    first = device.message()
    # The answer to a later packet shows that no second command came before it.
    expect(device.publish("marker", "1"), 0, "PUBACK")
    expect(device.messages.qsize(), 0, "commands beyond the receive maximum")
    device.client.ack(first.mid, first.qos)
    second = device.message()
    device.client.ack(second.mid, second.qos)
    for sender in senders:
        sender.join()
    expect({first.topic, second.topic}, {"command/inbox//a", "command/inbox//b"}, "commands")
    device.close()


def the_later_connection_of_a_client_takes_over():
    first = Device("sensor01", V5, client_id="same").accepted()
    second = Device("sensor01", V5, client_id="same").accepted()
    expect(first.disconnected(), (0x8E, True), "DISCONNECT")
    expect(second.publish("alive", "1"), 0, "PUBACK")
    second.close()
