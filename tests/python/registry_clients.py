"""python-schema-registry-client and codecs of Faust that use it.

    python registry_clients.py localhost:9092 --registry=http://localhost:8081
"""

import asyncio
import json
import sys

import faust
from schema_registry.client import AsyncSchemaRegistryClient, SchemaRegistryClient, schema
from schema_registry.client.errors import ClientError
from schema_registry.serializers import (
    AsyncAvroMessageSerializer,
    AsyncJsonMessageSerializer,
    AvroMessageSerializer,
    JsonMessageSerializer,
)
from schema_registry.serializers import faust as codecs

from suite import case, check, equal, raises, run_cases, unique

REGISTRY = next((argument.removeprefix("--registry=") for argument in sys.argv if argument.startswith("--registry=")), "")
USER = {
    "type": "record",
    "name": "User",
    "namespace": "shop",
    "fields": [{"name": "name", "type": "string"}, {"name": "age", "type": "int", "default": 0}],
}
WITHOUT_DEFAULT = {**USER, "fields": [*USER["fields"], {"name": "city", "type": "string"}]}
WIDER = {**USER, "fields": [*USER["fields"], {"name": "city", "type": ["null", "string"], "default": None}]}
POINT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Point",
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
}


@case
def every_call(bootstrap):
    client, subject = SchemaRegistryClient(REGISTRY), unique("user")
    first = client.register(subject, schema.AvroSchema(USER))
    equal(client.register(subject, json.dumps(USER)), first)
    equal(SchemaRegistryClient(REGISTRY).get_by_id(first).raw_schema, USER)
    check(subject in client.get_subjects(), "the subject is listed")
    versions = client.get_schema_subject_versions(first)
    check((subject, 1) in [(it.subject, it.version) for it in versions], f"{versions}")
    latest = client.get_schema(subject)
    equal((latest.subject, latest.schema_id, latest.version), (subject, first, 1))
    equal(client.get_schema(subject, version=1).schema_id, first)
    equal(client.get_schema(subject, version=7), None)
    equal(client.get_schema(unique("none")), None)
    check(client.test_compatibility(subject, schema.AvroSchema(WIDER)), "a field with a default is compatible")
    check(not client.test_compatibility(subject, schema.AvroSchema(WITHOUT_DEFAULT)), "a field without one is not")
    result = client.test_compatibility(subject, schema.AvroSchema(WITHOUT_DEFAULT), verbose=True)
    check(not result["is_compatible"] and "READER_FIELD_MISSING_DEFAULT_VALUE" in str(result["messages"]), f"{result}")
    error = raises(ClientError, client.register, subject, schema.AvroSchema(WITHOUT_DEFAULT))
    equal(error.http_code, 409)
    second = client.register(subject, schema.AvroSchema(WIDER))
    equal(client.get_versions(subject), [1, 2])
    found = client.check_version(subject, schema.AvroSchema(WIDER))
    equal((found.schema_id, found.version), (second, 2))
    equal(client.check_version(subject, schema.AvroSchema(WITHOUT_DEFAULT)), None)
    check(client.update_compatibility("FULL", subject), "the level is changed")
    equal(client.get_compatibility(subject), "FULL")
    equal(client.get_compatibility(), "BACKWARD")
    error = raises(ClientError, client.get_compatibility, unique("none"))
    equal(error.http_code, 404)
    equal(client.delete_version(subject, 1), 1)
    equal(client.delete_version(subject, 1), None)
    equal(client.delete_subject(subject), [2])
    equal(client.delete_subject(subject), [])


@case
def messages(bootstrap):
    client, subject = SchemaRegistryClient({"url": REGISTRY}), unique("message")
    user, point = {"name": "a", "age": 1}, {"x": 3}
    serializer = AvroMessageSerializer(client)
    data = serializer.encode_record_with_schema(subject, schema.AvroSchema(USER), user)
    equal(AvroMessageSerializer(SchemaRegistryClient(REGISTRY)).decode_message(data), user)
    serializer = JsonMessageSerializer(client)
    data = serializer.encode_record_with_schema(f"{subject}-json", schema.JsonSchema(POINT), point)
    equal(JsonMessageSerializer(SchemaRegistryClient(REGISTRY)).decode_message(data), point)
    equal(client.get_schema(f"{subject}-json").schema.raw_schema["title"], "Point")


@case
def asynchronous_client(bootstrap):
    async def run():
        client, subject = AsyncSchemaRegistryClient(REGISTRY), unique("async")
        user, point = {"name": "a", "age": 1}, {"x": 3}
        serializer = AsyncAvroMessageSerializer(client)
        data = await serializer.encode_record_with_schema(subject, schema.AvroSchema(USER), user)
        equal(await AsyncAvroMessageSerializer(AsyncSchemaRegistryClient(REGISTRY)).decode_message(data), user)
        serializer = AsyncJsonMessageSerializer(client)
        data = await serializer.encode_record_with_schema(f"{subject}-json", schema.JsonSchema(POINT), point)
        equal(await AsyncJsonMessageSerializer(AsyncSchemaRegistryClient(REGISTRY)).decode_message(data), point)
        check(await client.test_compatibility(subject, schema.AvroSchema(WIDER)), "compatible")
        equal(await client.get_versions(subject), [1])
        equal((await client.check_version(subject, schema.AvroSchema(USER))).version, 1)
        check(await client.update_compatibility("NONE", subject), "the level is changed")
        equal(await client.get_compatibility(subject), "NONE")
        equal(await client.delete_version(subject, "latest"), 1)

    asyncio.run(run())


@case
def codecs_of_faust(bootstrap):
    class User(faust.Record, namespace="User", serializer="registry_user"):
        name: str
        age: int = 0

    client, subject = SchemaRegistryClient(REGISTRY), unique("faust")
    codec = codecs.avro_serializer_factory(client, f"{subject}-value", USER)
    faust.serializers.codecs.register("registry_user", codec)
    data = User(name="a", age=5).dumps()
    equal(data[:1], b"\0")
    equal(User.loads(data), User(name="a", age=5))
    codec = codecs.json_serializer_factory(client, f"{subject}-point", POINT)
    equal(codec.loads(codec.dumps({"x": 1})), {"x": 1})
    equal(client.get_versions(f"{subject}-value"), [1])


run_cases()
