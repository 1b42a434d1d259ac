"""The MQTT 5 client of the AWS IoT Device SDK for Python (awsiotsdk, awscrt)."""

import os
import queue
import socket
import threading

from awscrt import auth, http, io, mqtt5
from awsiot import mqtt5_client_builder as builder
from device import DEADLINE, WRONG_PASSWORD, command, expect

CA = os.environ["CA"]
PORTS = {name: int(os.environ[name]) for name in ("TLS_PORT", "WSS_PORT")}
PASSWORD = os.environ["SENSOR_PASSWORD"]
INBOX = "command/inbox//#"


class Client:
    """A client and its lifecycle, in order."""

    def __init__(self, build, port="TLS_PORT", client_id="aws", **settings):
        self.events = queue.Queue()
        self.publishes = queue.Queue()
        put = lambda name: lambda data: self.events.put((name, data))
        self.client = build(
            endpoint="localhost",
            port=PORTS[port],
            ca_filepath=CA,
            client_id=client_id,
            on_publish_received=lambda data: self.publishes.put(data.publish_packet),
            on_lifecycle_attempting_connect=put("attempting"),
            on_lifecycle_connection_success=put("success"),
            on_lifecycle_connection_failure=put("failure"),
            on_lifecycle_disconnection=put("disconnection"),
            on_lifecycle_stopped=put("stopped"),
            # A refused client is stopped by its test; it must not try again in the meantime.
            min_reconnect_delay_ms=60_000,
            max_reconnect_delay_ms=120_000,
            **settings,
        )

    def wait(self, name):
        """The next event, which is this one."""
        found, data = self.events.get(timeout=DEADLINE)
        expect(found, name, "lifecycle event")
        return data

    def connected(self):
        self.client.start()
        self.wait("attempting")
        return self.wait("success")

    def refused(self):
        """The CONNACK's reason code; stops the client."""
        self.client.start()
        self.wait("attempting")
        failure = self.wait("failure")
        self.client.stop()
        self.wait("stopped")
        return failure.connack_packet.reason_code

    def stop(self, packet=None):
        self.client.stop(packet)
        self.wait("disconnection")
        self.wait("stopped")

    def publish(self, topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, **properties):
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=qos, **properties)
        return self.client.publish(packet).result(DEADLINE).puback

    def subscribe(self, *filters):
        wanted = [mqtt5.Subscription(topic_filter=f, qos=mqtt5.QoS.AT_LEAST_ONCE) for f in filters]
        suback = self.client.subscribe(mqtt5.SubscribePacket(subscriptions=wanted)).result(DEADLINE)
        return suback.reason_codes


def by_certificate(**settings):
    return builder.mtls_from_path(os.environ["CERTIFICATE"], os.environ["KEY"], **settings)


def by_password(password=PASSWORD, **authorizer):
    def build(**settings):
        return builder.direct_with_custom_authorizer(
            auth_username="sensor01@app", auth_password=password, **authorizer, **settings
        )

    return build


def by_password_in_websocket(**settings):
    return builder.websockets_with_custom_authorizer(
        auth_username="sensor01@app", auth_password=PASSWORD, **settings
    )


def works(client):
    client.connected()
    expect(client.publish("t", "1").reason_code, mqtt5.PubackReasonCode.SUCCESS, "PUBACK")
    client.stop()


def mutual_tls_from_files():
    works(Client(by_certificate))


def user_name_and_password():
    works(Client(by_password()))
    # What an authorizer would want is appended to the user name, and ignored.
    works(Client(by_password(auth_authorizer_name="my-authorizer")))
    signed = by_password(
        auth_authorizer_name="my-authorizer",
        auth_authorizer_signature="c2ln+bmVk",
        auth_token_key_name="token",
        auth_token_value="value",
    )
    works(Client(signed))
    code = Client(by_password(WRONG_PASSWORD)).refused()
    expect(code, mqtt5.ConnectReasonCode.BAD_USERNAME_OR_PASSWORD, "CONNACK")


def user_name_and_password_in_websocket():
    works(Client(by_password_in_websocket, "WSS_PORT"))


def requests_signed_for_aws_log_nobody_in():
    def build(**settings):
        credentials = auth.AwsCredentialsProvider.new_static("AKIDEXAMPLE", "not-a-secret")
        return builder.websockets_with_default_aws_signing(
            region="us-east-1", credentials_provider=credentials, **settings
        )

    # The handshake succeeds; what signs it is an account of AWS, which no device has here.
    code = Client(build, "WSS_PORT").refused()
    expect(code, mqtt5.ConnectReasonCode.BAD_USERNAME_OR_PASSWORD, "CONNACK")


def through_an_http_proxy():
    proxy = Proxy()
    options = http.HttpProxyOptions(host_name="127.0.0.1", port=proxy.port)
    works(Client(by_certificate, http_proxy_options=options))
    works(Client(by_password_in_websocket, "WSS_PORT", http_proxy_options=options))
    expect(proxy.served, 2, "connections through the proxy")


class Proxy:
    """An HTTP proxy that knows CONNECT and nothing else."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.served = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.socket.accept()
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            method, target, _ = head.split(b"\r\n")[0].split(b" ")
            expect(method, b"CONNECT", "method")
            host, port = target.decode().rsplit(":", 1)
            server = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            self.served += 1
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=relay, args=(source, target), daemon=True).start()


def relay(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def the_lifecycle_tells_the_negotiated_settings():
    client = Client(by_password(), session_expiry_interval_sec=3600, keep_alive_interval_sec=30)
    success = client.connected()
    settings = success.negotiated_settings
    expect(success.connack_packet.reason_code, mqtt5.ConnectReasonCode.SUCCESS, "CONNACK")
    expect(settings.client_id, "aws", "client id")
    expect(settings.session_expiry_interval_sec, 0, "no session outlives its connection")
    expect(settings.rejoined_session, False, "no session is joined again")
    # The client knows no other; the server names no maximum below 2.
    expect(settings.maximum_qos, mqtt5.QoS.AT_LEAST_ONCE, "maximum QoS")
    expect(success.connack_packet.maximum_qos, None, "maximum QoS of the server")
    expect(settings.receive_maximum_from_server, 100, "receive maximum")
    expect(settings.maximum_packet_size_to_server, 64 * 1024, "maximum packet size")
    expect(settings.server_keep_alive_sec, 30, "keep-alive")
    expect(settings.retain_available, False, "retain")
    expect(settings.wildcard_subscriptions_available, True, "wildcards")
    expect(settings.subscription_identifiers_available, True, "subscription identifiers")
    expect(settings.shared_subscriptions_available, False, "shared subscriptions")
    reason = mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION
    client.stop(mqtt5.DisconnectPacket(reason_code=reason))
    # A stopped client may be started again.
    client.connected()
    client.stop()


def the_server_assigns_a_client_id():
    client = Client(by_password(), client_id="")
    expect(len(client.connected().negotiated_settings.client_id) > 0, True, "client id")
    client.stop()


def a_session_to_be_joined_again_is_refused():
    client = Client(by_password(), session_behavior=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS)
    code = client.refused()
    expect(code, mqtt5.ConnectReasonCode.IMPLEMENTATION_SPECIFIC_ERROR, "CONNACK")


def every_acknowledgement_has_a_reason_code():
    client = Client(by_password())
    client.connected()
    puback = mqtt5.PubackReasonCode
    unasked = client.publish("t", "1", mqtt5.QoS.AT_MOST_ONCE)
    expect(unasked.reason_code, None, "QoS 0 has no PUBACK")
    expect(client.publish("t", "1").reason_code, puback.SUCCESS, "QoS 1")
    expect(client.publish("t/sensor02", "1").reason_code, puback.NOT_AUTHORIZED, "another device")
    expect(client.publish("a/b/c", "1").reason_code, puback.TOPIC_NAME_INVALID, "topic")
    bad = client.publish("t", "{", content_type="application/json")
    expect(bad.reason_code, puback.PAYLOAD_FORMAT_INVALID, "JSON that is none")
    suback = mqtt5.SubackReasonCode
    codes = client.subscribe(INBOX, "temp", "command/inbox/sensor02/#")
    expected = [suback.GRANTED_QOS_1, suback.TOPIC_FILTER_INVALID, suback.NOT_AUTHORIZED]
    expect(codes, expected, "SUBACK")
    status, _ = command("sensor01", "set-temp", b"21")
    expect(status, 200, "the command's status")
    received = client.publishes.get(timeout=DEADLINE)
    expect((received.topic, received.payload), ("command/inbox//set-temp", b"21"), "command")
    expect(received.content_type, "text/plain", "content type")
    packet = mqtt5.UnsubscribePacket(topic_filters=[INBOX, "temp"])
    unsuback = client.client.unsubscribe(packet).result(DEADLINE)
    codes = mqtt5.UnsubackReasonCode
    expected = [codes.SUCCESS, codes.NO_SUBSCRIPTION_EXISTED]
    expect(unsuback.reason_codes, expected, "UNSUBACK")
    expect(command("sensor01", "set-temp", b"21")[0], 404, "nobody subscribes any more")
    client.stop()


def disconnect_with_will_publishes_it():
    will = mqtt5.PublishPacket(topic="gone", payload="1", qos=mqtt5.QoS.AT_LEAST_ONCE)
    client = Client(by_password(), will=will)
    client.connected()
    reason = mqtt5.DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE
    client.stop(mqtt5.DisconnectPacket(reason_code=reason))


def what_the_server_ends_is_told_by_its_disconnect():
    first = Client(by_password())
    first.connected()
    second = Client(by_password())
    second.connected()
    ended = first.wait("disconnection")
    taken_over = mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
    expect(ended.disconnect_packet.reason_code, taken_over, "DISCONNECT")
    first.client.stop()
    first.wait("stopped")
    second.stop()


def shared_subscriptions_and_retain_are_not_available():
    client = Client(by_password())
    client.connected()
    client.client.subscribe(
        mqtt5.SubscribePacket(
            subscriptions=[mqtt5.Subscription(f"$share/group/{INBOX}", qos=mqtt5.QoS.AT_LEAST_ONCE)]
        )
    )
    ended = client.wait("disconnection").disconnect_packet
    expected = mqtt5.DisconnectReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
    expect(ended.reason_code, expected, "DISCONNECT")
    client.client.stop()
    client.wait("stopped")
