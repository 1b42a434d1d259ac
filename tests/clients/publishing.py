"""Publishes, and what PUBACK says of them."""

from device import V5, V311, Device, expect, properties


def puback_tells_why():
    gateway = Device("gateway01", V5).accepted()
    json = properties("PUBLISH", ContentType="application/json")
    expect(gateway.publish("t/sensor02", "1"), 0x00, "a device that selects the gateway")
    expect(gateway.publish("t/sensor03", "1"), 0x87, "a device that does not")
    expect(gateway.publish("t/nobody", "1"), 0x87, "an unknown device")
    expect(gateway.publish("a/b/c", "1"), 0x90, "a topic with too many levels")
    expect(gateway.publish("t/", "1"), 0x90, "a topic with an empty device")
    expect(gateway.publish("t", "{nope", props=json), 0x99, "JSON that is none")
    expect(gateway.publish("t", "{}", props=json), 0x00, "JSON")
    gateway.close()


def all_levels_of_service_are_acknowledged():
    for protocol in [V311, V5]:
        device = Device("sensor01", protocol).accepted()
        for qos in [0, 1, 2]:
            expect(device.publish("levels", f"{qos}", qos=qos), 0, f"QoS {qos}")
        device.close()


def topic_aliases_stand_for_topics():
    device = Device("sensor01", V5).accepted()
    expect(device.publish("aliased", "1", props=properties("PUBLISH", TopicAlias=1)), 0, "set")
    expect(device.publish("", "2", props=properties("PUBLISH", TopicAlias=1)), 0, "used")
    expect(device.publish("renamed", "3", props=properties("PUBLISH", TopicAlias=1)), 0, "changed")
    expect(device.publish("", "4", props=properties("PUBLISH", TopicAlias=1)), 0, "used again")
    device.close()


def an_alias_that_was_not_set_ends_the_connection():
    device = Device("sensor01", V5).accepted()
    device.client.publish("", "1", qos=1, properties=properties("PUBLISH", TopicAlias=2))
    # 3.3.4: no topic, and an alias without a mapping, is a protocol error.
    expect(device.disconnected(), (0x82, True), "DISCONNECT")


def trace_context_passes_on():
    device = Device("sensor01", V5).accepted()
    traced = properties(
        "PUBLISH",
        UserProperty=[
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "vendor=1"),
        ],
    )
    expect(device.publish("traced", "1", props=traced), 0, "PUBACK")
    device.close()


def many_at_once_are_all_acknowledged():
    for protocol in [V311, V5]:
        device = Device("sensor01", protocol).accepted()
        sent = {device.client.publish("many", f"{n}", qos=1).mid for n in range(500)}
        while sent:
            mid, code, _props = device.pubacks.get(timeout=60)
            expect(code.value, 0, "PUBACK")
            sent.remove(mid)
        device.close()
