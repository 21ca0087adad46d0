"""What clients do over TLS and SASL: one line for each client and case, with its name, the case, and `ok` or the error.

The arguments are the address of a broker, a directory with certificates and the file `addresses` (of the broker's
listeners), and names of clients. The test compares the lines with those that Apache Kafka brought about.
"""

import asyncio
import base64
import json
import logging
import re
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import aiokafka
import aiokafka.abc
import confluent_kafka
import kafka
import kafka.errors
from suite import unique

DIRECTORY = sys.argv[2]
WANTED = sys.argv[3:]
ADDRESSES = dict(line.strip().split("=", 1) for line in open(f"{DIRECTORY}/addresses"))
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
VALUES = [b"one", b"two", b"three"]
# No client has longer to show its error, or to do its work.
ERROR_SECONDS = 5
SECONDS = 60
# SHORT_SESSIONS end after 4 seconds, as these tokens do: between the second record and the third.
TOKEN_SECONDS = 4
PAUSE = 3


class Access:
    """How a client connects; everything that differs between cases."""

    def __init__(self, listener, **more):
        self.address = ADDRESSES[listener]
        self.tls = listener not in ("PLAINTEXT", "SASL_PLAINTEXT", "SCRAM_ONLY", "SHORT_SESSIONS")
        self.certificate, self.authority = None, "authority"
        self.mechanism, self.user, self.password, self.lifetime = None, "alice", "alice-secret", 3600
        # The seconds after each record.
        self.pause = 0
        self.__dict__.update(more)
        self.protocol = ("SASL_" if self.mechanism else "") + ("SSL" if self.tls else "PLAINTEXT")

    def file(self, name, extension="pem"):
        return f"{DIRECTORY}/{name}.{extension}"

    def token(self):
        """An unsigned JSON Web Token."""
        now = int(time.time())
        claims = {"sub": self.user, "iat": now - 7200, "exp": now + self.lifetime}
        parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
        return ".".join([base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts] + [""])


def succeeding():
    yield "SSL", Access("SSL")
    yield "SSL with a certificate", Access("MTLS", certificate="client")
    for listener in ["SASL_PLAINTEXT", "SASL_SSL"]:
        for mechanism in MECHANISMS:
            yield f"{listener} {mechanism}", Access(listener, mechanism=mechanism)
    for mechanism in MECHANISMS[:2]:
        yield f"session that expires, {mechanism}", Access("SHORT_SESSIONS", mechanism=mechanism, pause=PAUSE)
    yield (
        "token that expires in the session",
        Access("SASL_PLAINTEXT", mechanism="OAUTHBEARER", lifetime=TOKEN_SECONDS, pause=PAUSE),
    )


def failing():
    for mechanism in MECHANISMS[:3]:
        yield f"wrong password, {mechanism}", Access("SASL_PLAINTEXT", mechanism=mechanism, password="wrong")
        yield f"unknown user, {mechanism}", Access("SASL_SSL", mechanism=mechanism, user="nobody")
    yield "expired token", Access("SASL_PLAINTEXT", mechanism="OAUTHBEARER", lifetime=-60)
    yield "mechanism that is not enabled", Access("SCRAM_ONLY", mechanism="PLAIN")
    yield "expired certificate of the broker", Access("EXPIRED")
    yield "untrusted authority", Access("SSL", authority="other-authority")
    yield "wrong host name", Access("SSL", address=ADDRESSES["SSL"].replace("localhost", "127.0.0.1"))
    yield "no certificate", Access("MTLS")
    yield "untrusted certificate", Access("MTLS", certificate="untrusted")
    yield "expired certificate", Access("MTLS", certificate="expired")
    yield "no TLS at a port with TLS", Access("SSL", tls=False)
    yield "TLS at a port without TLS", Access("PLAINTEXT", tls=True)
    yield "no SASL at a port with SASL", Access("SASL_PLAINTEXT")


def normalised(text):
    """Without ports, times, and what differs from run to run."""
    for pattern, replacement in [
        (r"\s*\(after \d+ms in state [^)]*\)", ""),
        (r"(localhost|127\.0\.0\.1)(:|', )\d+", r"\1\2PORT"),
        (r"port=\d+", "port=PORT"),
        (r" ?\(_ssl\.c:\d+\)", ""),
        (r"\[SSL: \w+\] ", ""),
        (r"(sslv3|tlsv1|tlsv13|ssl/tls) alert", "alert"),
        (r"\d+/\d+ brokers are", "all brokers are"),
        (r"\s+", " "),
    ]:
        text = re.sub(pattern, replacement, text)
    return text.strip()


class Logged(logging.Handler):
    """The errors that libraries log, by thread: some libraries say why only there."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = {}

    def emit(self, record):
        self.messages.setdefault(record.thread, []).append(record.getMessage())

    def last(self, pattern):
        """The part of this thread's last matching message that the pattern's group selects."""
        messages = self.messages.pop(threading.get_ident(), [])
        found = [match.group(1) for message in messages for match in [re.search(pattern, message, re.DOTALL)] if match]
        return found[-1] if found else ""


LOGGED = Logged()


class KafkaPython:
    name = f"kafka-python {kafka.__version__}"
    is_3 = kafka.__version__ >= "3"

    def options(self, access):
        options = {
            "bootstrap_servers": access.address,
            "security_protocol": access.protocol,
            "ssl_cafile": access.file(access.authority),
            ("bootstrap_timeout_ms" if self.is_3 else "api_version_auto_timeout_ms"): ERROR_SECONDS * 1000,
        }
        if access.certificate:
            options["ssl_certfile"] = access.file(access.certificate)
            options["ssl_keyfile"] = access.file(access.certificate, "key")
        if access.mechanism == "OAUTHBEARER":
            options.update(sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=self.token_provider(access))
        elif access.mechanism:
            options.update(
                sasl_mechanism=access.mechanism, sasl_plain_username=access.user, sasl_plain_password=access.password
            )
        return options

    def token_provider(self, access):
        try:
            from kafka.net.sasl.oauth import AbstractTokenProvider
        except ImportError:
            from kafka.oauth import AbstractTokenProvider

        class Provider(AbstractTokenProvider):
            def token(self):
                return access.token()

        return Provider()

    def works(self, access, topic):
        producer = kafka.KafkaProducer(**self.options(access))
        for value in VALUES:
            producer.send(topic, value).get(20)
            time.sleep(access.pause)
        producer.close()
        consumer = kafka.KafkaConsumer(topic, group_id=topic, auto_offset_reset="earliest", **self.options(access))
        values = [next(consumer).value for _ in VALUES]
        consumer.close()
        return values

    def error(self, access):
        try:
            producer = kafka.KafkaProducer(max_block_ms=ERROR_SECONDS * 1000, **self.options(access))
        except (kafka.errors.KafkaError, OSError, ValueError) as error:
            return described(error, LOGGED.last(r"(\[SSL: .*?\][^(]*)"))
        try:
            producer.send("security", b"").get(ERROR_SECONDS)
        except kafka.errors.KafkaError as error:
            return described(error, "")
        finally:
            producer.close(1)


class Confluent:
    name = f"confluent-kafka {confluent_kafka.__version__}"

    def options(self, access):
        options = {
            "bootstrap.servers": access.address,
            "security.protocol": access.protocol,
            "ssl.ca.location": access.file(access.authority),
            "ssl.endpoint.identification.algorithm": "https",
            "log_level": 0,
        }
        if access.certificate:
            options["ssl.certificate.location"] = access.file(access.certificate)
            options["ssl.key.location"] = access.file(access.certificate, "key")
        if access.mechanism == "OAUTHBEARER":
            # librdkafka itself refuses a token that it knows to be expired.
            options["sasl.mechanism"] = "OAUTHBEARER"
            options["oauth_cb"] = lambda _: (access.token(), time.time() + max(access.lifetime, TOKEN_SECONDS))
        elif access.mechanism:
            options.update(
                {"sasl.mechanism": access.mechanism, "sasl.username": access.user, "sasl.password": access.password}
            )
        return options

    def works(self, access, topic):
        errors = []
        producer = confluent_kafka.Producer({**self.options(access), "error_cb": errors.append})
        for value in VALUES:
            producer.produce(topic, value)
            resumes = time.monotonic() + access.pause
            while time.monotonic() < resumes:
                producer.poll(0.1)
        deadline = time.monotonic() + SECONDS
        while producer.flush(0.2) and time.monotonic() < deadline:
            if errors:
                return f"{errors[0].name()}: {errors[0].str()}"
        options = {**self.options(access), "group.id": topic, "auto.offset.reset": "earliest"}
        consumer = confluent_kafka.Consumer(options)
        consumer.subscribe([topic])
        values = []
        while len(values) < len(VALUES):
            message = consumer.poll(20)
            if message is None or message.error():
                raise AssertionError(message and message.error())
            values.append(message.value())
        consumer.close()
        return values

    def error(self, access):
        errors = []
        client = confluent_kafka.Producer({**self.options(access), "error_cb": errors.append})
        deadline = time.monotonic() + ERROR_SECONDS
        while time.monotonic() < deadline:
            client.poll(0.1)
            for error in errors:
                if error.code() in (confluent_kafka.KafkaError._AUTHENTICATION, confluent_kafka.KafkaError._SSL):
                    return f"{error.name()}: {error.str()}"
        # Of the other errors, which differ from attempt to attempt, the one that says most.
        return max((f"{error.name()}: {error.str()}" for error in errors), key=len, default="no error")


class AIOKafka:
    name = f"aiokafka {aiokafka.__version__}"

    def options(self, access):
        options = {"bootstrap_servers": access.address, "security_protocol": access.protocol}
        if access.tls:
            options["ssl_context"] = ssl.create_default_context(cafile=access.file(access.authority))
            if access.certificate:
                options["ssl_context"].load_cert_chain(
                    access.file(access.certificate), access.file(access.certificate, "key")
                )
        if access.mechanism == "OAUTHBEARER":

            class Provider(aiokafka.abc.AbstractTokenProvider):
                async def token(self):
                    return access.token()

            options.update(sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=Provider())
        elif access.mechanism:
            options.update(
                sasl_mechanism=access.mechanism, sasl_plain_username=access.user, sasl_plain_password=access.password
            )
        return options

    def works(self, access, topic):
        return asyncio.run(self._works(access, topic))

    async def _works(self, access, topic):
        async with aiokafka.AIOKafkaProducer(**self.options(access)) as producer:
            for value in VALUES:
                await producer.send_and_wait(topic, value)
                await asyncio.sleep(access.pause)
        options = {**self.options(access), "group_id": topic, "auto_offset_reset": "earliest"}
        async with aiokafka.AIOKafkaConsumer(topic, **options) as consumer:
            return [(await consumer.getone()).value for _ in VALUES]

    def error(self, access):
        return asyncio.run(self._error(access))

    async def _error(self, access):
        producer = aiokafka.AIOKafkaProducer(request_timeout_ms=ERROR_SECONDS * 1000, **self.options(access))
        try:
            await producer.start()
        except (aiokafka.errors.KafkaError, OSError) as error:
            return described(error, LOGGED.last(r"Unable connect to .*?: (.*)"))
        finally:
            await producer.stop()


class Faust:
    """Without errors: Faust's client is aiokafka."""

    def __init__(self):
        import faust  # only the newest set of clients has it

        self.faust, self.name = faust, f"faust-streaming {faust.__version__}"

    def credentials(self, access):
        options = AIOKafka().options(access)
        context = options.get("ssl_context")
        if access.mechanism == "OAUTHBEARER":
            provider = options["sasl_oauth_token_provider"]
            return self.faust.OAuthCredentials(oauth_cb=provider, ssl_context=context)
        if access.mechanism:
            return self.faust.SASLCredentials(
                username=access.user, password=access.password, ssl_context=context, mechanism=access.mechanism
            )
        return self.faust.SSLCredentials(context)

    def works(self, access, topic):
        return asyncio.run(self._works(access, topic))

    async def _works(self, access, topic):
        address, credentials = f"kafka://{access.address}", self.credentials(access)
        app = self.faust.App(
            topic, broker=address, broker_credentials=credentials, topic_partitions=1, web_enabled=False
        )
        records = app.topic(f"{topic}-records", value_type=bytes, value_serializer="raw")
        values, complete = [], asyncio.Event()

        async def read(stream):
            async for value in stream:
                values.append(value)
                if len(values) == len(VALUES):
                    complete.set()

        app.agent(records)(read)
        # Faust does not notice soon that a topic is created later.
        async with aiokafka.AIOKafkaProducer(**AIOKafka().options(access)) as producer:
            await producer.partitions_for(f"{topic}-records")
        async with app:
            for value in VALUES:
                await records.send(value=value)
                await asyncio.sleep(access.pause)
            await asyncio.wait_for(complete.wait(), SECONDS)
        return values


def described(error, logged):
    """The class of an error and its message; the message that was logged, if there is one, says more."""
    return f"{type(error).__name__}: {logged or error}"


def outcome(client, name, access, fails):
    try:
        if fails:
            return client.error(access) or "the client connects"
        values = client.works(access, unique("security"))
        return "ok" if values == VALUES else str(values)
    except Exception as error:
        return f"unexpected {type(error).__name__}: {error}"


def main():
    logging.getLogger().addHandler(LOGGED)
    threading.stack_size(256 * 1024)
    clients = [client for client in [KafkaPython(), Confluent(), AIOKafka()] if client.name.split()[0] in WANTED]
    if "faust-streaming" in WANTED:
        clients.append(Faust())
    cases = [(client, *case, False) for client in clients for case in succeeding()]
    cases += [(client, *case, True) for client in clients if hasattr(client, "error") for case in failing()]
    with ThreadPoolExecutor(6) as pool:
        pending = [(case, pool.submit(outcome, *case)) for case in cases]
        for (client, name, _, _), future in pending:
            print(client.name, name, normalised(future.result(SECONDS * 3)), sep="\t", flush=True)


main()
