"""Clients of a listener with TLS: kafka-python and confluent-kafka, with and without a certificate of their own, and the
usual mistakes.

Beside the address of a listener that demands client certificates, the program needs --certificates=DIR with the files
authority.pem, client.pem, client.key, untrusted.pem, untrusted.key and other-authority.pem.
"""

import ssl
import sys

import confluent_kafka
import kafka
import kafka.errors
from confluent_kafka.admin import AdminClient
from suite import case, run_cases

DIRECTORY = next(argument.split("=", 1)[1] for argument in sys.argv if argument.startswith("--certificates="))


def path(name):
    return f"{DIRECTORY}/{name}"


def kafka_python(bootstrap, own="client", authority="authority", **more):
    options = {"bootstrap_servers": bootstrap, "security_protocol": "SSL", "ssl_cafile": path(f"{authority}.pem")}
    if own:
        options.update(ssl_certfile=path(f"{own}.pem"), ssl_keyfile=path(f"{own}.key"))
    return {**options, **more}


def confluent(bootstrap, own="client", authority="authority", **more):
    options = {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SSL",
        "ssl.ca.location": path(f"{authority}.pem"),
        "log_level": 0,
    }
    if own:
        options.update({"ssl.certificate.location": path(f"{own}.pem"), "ssl.key.location": path(f"{own}.key")})
    return {**options, **more}


@case
def kafka_python_produces_and_consumes(bootstrap):
    producer = kafka.KafkaProducer(**kafka_python(bootstrap))
    for value in [b"small", b"x" * 900_000]:
        producer.send("tls-kafka-python", value).get(20)
    producer.close()
    consumer = kafka.KafkaConsumer(
        "tls-kafka-python", auto_offset_reset="earliest", group_id="tls-kafka-python", **kafka_python(bootstrap)
    )
    values = [next(consumer).value for _ in range(2)]
    assert [len(value) for value in values] == [5, 900_000]
    consumer.close()


@case
def confluent_produces_and_consumes(bootstrap):
    producer = confluent_kafka.Producer(confluent(bootstrap))
    for value in [b"small", b"x" * 900_000]:
        producer.produce("tls-confluent", value)
    assert producer.flush(20) == 0
    consumer = confluent_kafka.Consumer(
        confluent(bootstrap, **{"group.id": "tls-confluent", "auto.offset.reset": "earliest"})
    )
    consumer.subscribe(["tls-confluent"])
    values = []
    while len(values) < 2:
        message = consumer.poll(20)
        assert message is not None and not message.error(), message and message.error()
        values.append(message.value())
    assert [len(value) for value in values] == [5, 900_000]
    consumer.close()


def kafka_python_fails(options):
    try:
        kafka.KafkaProducer(**options, api_version_auto_timeout_ms=3000).close()
    except (kafka.errors.KafkaError, ssl.SSLError, ValueError) as error:
        return error
    raise AssertionError("the client connected")


def confluent_fails(options):
    """The log lines of a client that can't connect."""
    errors = []
    client = AdminClient({**options, "error_cb": lambda error: errors.append(error.str()), "log_level": 0})
    try:
        client.list_topics(timeout=3)
    except confluent_kafka.KafkaException:
        client.poll(1)
        return " ".join(errors)
    raise AssertionError("the client connected")


@case
def client_without_or_with_an_untrusted_certificate_is_refused(bootstrap):
    for own in [None, "untrusted"]:
        kafka_python_fails(kafka_python(bootstrap, own=own))
        confluent_fails(confluent(bootstrap, own=own))


@case
def client_that_does_not_trust_the_broker_refuses_it(bootstrap):
    kafka_python_fails(kafka_python(bootstrap, authority="other-authority"))
    errors = confluent_fails(confluent(bootstrap, authority="other-authority"))
    assert "certificate verify failed" in errors, errors


@case
def client_refuses_a_certificate_for_another_host_name(bootstrap):
    # The certificate is for localhost alone.
    address = bootstrap.replace("localhost", "127.0.0.1")
    kafka_python_fails(kafka_python(address))
    errors = confluent_fails(confluent(address, **{"ssl.endpoint.identification.algorithm": "https"}))
    assert "certificate verify failed" in errors, errors
    # Without the check of the name, the client is served.
    unchecked = confluent(address, **{"ssl.endpoint.identification.algorithm": "none"})
    assert AdminClient(unchecked).list_topics(timeout=20).brokers


@case
def client_without_tls_is_refused(bootstrap):
    kafka_python_fails({"bootstrap_servers": bootstrap})
    errors = confluent_fails({"bootstrap.servers": bootstrap})
    assert errors, "an error"


run_cases()
