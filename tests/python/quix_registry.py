"""quixstreams with a schema registry: records of an application and the serializers alone.

    python quix_registry.py localhost:9092 --registry=http://localhost:8081
"""

import sys
import tempfile

from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from quixstreams import Application
from quixstreams.models import SchemaRegistryClientConfig, SchemaRegistrySerializationConfig, SerializationContext
from quixstreams.models.serializers.avro import AvroDeserializer, AvroSerializer
from quixstreams.models.serializers.exceptions import SerializationError
from quixstreams.models.serializers.json import JSONDeserializer, JSONSerializer
from quixstreams.models.serializers.protobuf import ProtobufDeserializer, ProtobufSerializer

from suite import case, check, equal, raises, run_cases, unique

REGISTRY = next((argument.removeprefix("--registry=") for argument in sys.argv if argument.startswith("--registry=")), "")
CLIENT = {"schema_registry_client_config": SchemaRegistryClientConfig(url=REGISTRY)}
USER = {
    "type": "record",
    "name": "User",
    "namespace": "shop",
    "fields": [{"name": "name", "type": "string"}, {"name": "age", "type": "int", "default": 0}],
}
POINT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Point",
    "type": "object",
    "properties": {"x": {"type": "integer"}},
    "required": ["x"],
}


def message_class():
    file = descriptor_pb2.FileDescriptorProto(name="quix.proto", package="shop", syntax="proto3")
    types = descriptor_pb2.FieldDescriptorProto
    message = file.message_type.add(name="Sum")
    message.field.add(name="total", number=1, type=types.TYPE_INT32, label=types.LABEL_OPTIONAL)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Sum"))


def value_of(topic):
    return SerializationContext(topic=topic, field="value")


@case
def serializers_of_every_format(bootstrap):
    registry, Sum = SchemaRegistryClient({"url": REGISTRY}), message_class()
    for name, schema_type, value, serializer, deserializer in [
        ("avro", "AVRO", {"name": "a", "age": 1}, AvroSerializer(USER, **CLIENT), AvroDeserializer(**CLIENT)),
        ("json", "JSON", {"x": 1}, JSONSerializer(schema=POINT, **CLIENT), JSONDeserializer(schema=POINT, **CLIENT)),
        ("protobuf", "PROTOBUF", {"total": 3}, ProtobufSerializer(Sum, **CLIENT), ProtobufDeserializer(Sum, **CLIENT)),
    ]:
        topic = unique(f"quix-{name}")
        data = serializer(value, value_of(topic))
        equal(deserializer(data, value_of(topic)), value, name)
        found = registry.get_latest_version(f"{topic}-value")
        equal((found.version, found.schema.schema_type), (1, schema_type))
        equal(data[:5], b"\0" + found.schema_id.to_bytes(4, "big"))


@case
def settings_of_the_serializer(bootstrap):
    registry, topic = SchemaRegistryClient({"url": REGISTRY}), unique("quix-settings")
    settings = SchemaRegistrySerializationConfig(auto_register_schemas=False)
    serializer = AvroSerializer(USER, schema_registry_serialization_config=settings, **CLIENT)
    error = raises(SerializationError, serializer, {"name": "a"}, value_of(topic))
    check("40401" in str(error), f"{error}")
    settings = SchemaRegistrySerializationConfig(
        normalize_schemas=True, subject_name_strategy=record_subject_name_strategy
    )
    record = unique("User").replace("-", "_")
    serializer = AvroSerializer({**USER, "name": record}, schema_registry_serialization_config=settings, **CLIENT)
    serializer({"name": "a"}, value_of(topic))
    equal(registry.get_latest_version(f"shop.{record}").version, 1)


@case(seconds=60)
def records_of_an_application(bootstrap):
    """The values of one topic are read by their schema, and those of another are written with one."""
    name = unique("quix")
    with tempfile.TemporaryDirectory() as directory:
        app = Application(
            broker_address=bootstrap, consumer_group=name, auto_offset_reset="earliest", state_dir=directory
        )
        users = app.topic(
            f"{name}-in", value_serializer=AvroSerializer(USER, **CLIENT), value_deserializer=AvroDeserializer(**CLIENT)
        )
        points = app.topic(f"{name}-out", value_serializer=JSONSerializer(schema=POINT, **CLIENT))
        with app.get_producer() as producer:
            for age in range(3):
                message = users.serialize(key="k", value={"name": "a", "age": age})
                producer.produce(topic=users.name, key=message.key, value=message.value)
        seen = []
        frame = app.dataframe(users).apply(lambda user: {"x": user["age"]}).update(seen.append)
        frame.to_topic(points)
        app.run(count=3, timeout=40)
    equal(seen, [{"x": 0}, {"x": 1}, {"x": 2}])
    equal(SchemaRegistryClient({"url": REGISTRY}).get_latest_version(f"{name}-out-value").schema.schema_type, "JSON")


run_cases()
