"""What Python clients do at listeners with TLS and SASL: a line for each case and client.

The argument is a JSON list of cases: `name`, `address`, `protocol`, and perhaps `ca`, `certificate` (the start of the names of
two files, .pem and .key), `names` (false: the host name is not checked), `mechanism`, `user`, `password`, and `refused` (the
client must fail). A line has the case, the client, and `ok`, `refused` or what went wrong.
"""

import base64
import json
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import confluent_kafka
import kafka
from kafka.net.sasl.oauth import AbstractTokenProvider

SECONDS = 40
# A refused client does not have longer to fail.
SECONDS_TO_FAIL = 8


class Failed(Exception):
    pass


def seconds(case):
    return SECONDS_TO_FAIL if case.get("refused") else SECONDS


def token(case):
    """An unsigned JSON Web Token."""
    now = int(time.time())
    parts = [{"alg": "none"}, {"sub": case["user"], "iat": now, "exp": now + 3600}]
    return ".".join([base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts] + [""])


class Tokens(AbstractTokenProvider):
    def __init__(self, case):
        self.case = case

    def token(self):
        return token(self.case)


def kafka_python(case):
    options = {
        "bootstrap_servers": case["address"],
        "security_protocol": case["protocol"],
        "bootstrap_timeout_ms": seconds(case) * 1000,
    }
    if "ca" in case:
        options.update(ssl_cafile=case["ca"], ssl_check_hostname=case.get("names", True))
    if "certificate" in case:
        options.update(ssl_certfile=case["certificate"] + ".pem", ssl_keyfile=case["certificate"] + ".key")
    if case.get("mechanism") == "OAUTHBEARER":
        options.update(sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=Tokens(case))
    elif "mechanism" in case:
        options.update(
            sasl_mechanism=case["mechanism"], sasl_plain_username=case["user"], sasl_plain_password=case["password"]
        )
    topic = f"t-{uuid.uuid4()}"
    producer = kafka.KafkaProducer(**options)
    producer.send(topic, b"value").get(seconds(case))
    producer.close()
    consumer = kafka.KafkaConsumer(
        topic, auto_offset_reset="earliest", consumer_timeout_ms=seconds(case) * 1000, group_id=topic, **options
    )
    values = [record.value for record, _ in zip(consumer, range(1))]
    consumer.close()
    if values != [b"value"]:
        raise Failed(f"consumed {values}")


def confluent(case):
    errors = []
    options = {
        "bootstrap.servers": case["address"],
        "security.protocol": case["protocol"],
        "error_cb": lambda error: errors.append(error.str()),
    }
    if "ca" in case:
        options["ssl.ca.location"] = case["ca"]
        options["ssl.endpoint.identification.algorithm"] = "https" if case.get("names", True) else "none"
    if "certificate" in case:
        options["ssl.certificate.location"] = case["certificate"] + ".pem"
        options["ssl.key.location"] = case["certificate"] + ".key"
    if "mechanism" in case:
        options["sasl.mechanism"] = case["mechanism"]
    if case.get("mechanism") == "OAUTHBEARER":
        options["oauth_cb"] = lambda _: (token(case), time.time() + 3600)
    elif "mechanism" in case:
        options.update({"sasl.username": case["user"], "sasl.password": case["password"]})
    topic = f"t-{uuid.uuid4()}"
    producer = confluent_kafka.Producer(options)
    producer.produce(topic, b"value")
    if producer.flush(seconds(case)):
        producer.purge()
        raise Failed(errors)
    consumer = confluent_kafka.Consumer({**options, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    deadline = time.monotonic() + seconds(case)
    while (record := consumer.poll(0.2)) is None or record.error():
        if time.monotonic() > deadline:
            raise Failed(errors)
    consumer.close()
    if record.value() != b"value":
        raise Failed(f"consumed {record.value()}")


def outcome(client, case):
    try:
        client(case)
        return "ok"
    except Exception as error:
        return "refused" if case.get("refused") else f"{type(error).__name__}: {error}"


def run(job):
    case, client = job
    return f"{case['name']}\t{client.__name__}\t{outcome(client, case)}"


jobs = [(case, client) for case in json.loads(sys.argv[1]) for client in (kafka_python, confluent)]
with ThreadPoolExecutor(len(jobs)) as pool:
    print("\n".join(pool.map(run, jobs)))
