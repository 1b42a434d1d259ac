"""What CONNACK says."""

from device import V5, V311, WRONG_PASSWORD, Device, expect, properties


def log_ins_are_refused_by_code():
    for protocol, expected in [(V311, 0x86), (V5, 0x86)]:
        # paho translates return code 4 of 3.1.1 into reason code 0x86.
        for name in ["sensor01", "sensor02", "nobody"]:
            code, _ = Device(name, protocol).password(WRONG_PASSWORD).connect()
            expect(code.value, expected, f"CONNACK of {name}")


def connack_announces_what_the_server_can_do():
    device = Device("sensor01", V5, client_id="")
    asked = properties("CONNECT", SessionExpiryInterval=3600)
    code, props = device.connect(props=asked)
    expect(code.value, 0, "CONNACK")
    expect(props.RetainAvailable, 0, "Retain Available")
    expect(props.SharedSubscriptionAvailable, 0, "Shared Subscription Available")
    expect(props.SessionExpiryInterval, 0, "Session Expiry Interval")
    expect(props.ReceiveMaximum, 100, "Receive Maximum")
    expect(props.MaximumPacketSize, 64 * 1024, "Maximum Packet Size")
    expect(hasattr(props, "MaximumQoS"), False, "a Maximum QoS below 2")
    expect(props.TopicAliasMaximum > 0, True, "topic aliases")
    expect(len(props.AssignedClientIdentifier) > 0, True, "an assigned client id")
    device.close()


def a_session_that_is_not_clean_is_refused_with_a_reason_string():
    code, props = Device("sensor01", V5, clean=False).connect()
    expect(code.value, 0x83, "CONNACK")
    expect(len(props.ReasonString) > 0, True, "a reason string")


def enhanced_authentication_is_refused():
    device = Device("sensor01", V5)
    asked = properties("CONNECT", AuthenticationMethod="SCRAM-SHA-256")
    code, _ = device.connect(props=asked)
    expect(code.value, 0x8C, "CONNACK")
