"""confluent-kafka's serializers and its client of the schema registry.

    python confluent_schema_registry.py localhost:9092 --registry=http://localhost:8081
"""

import json
import sys

from confluent_kafka import DeserializingConsumer, KafkaError, KafkaException, Producer, SerializingProducer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry import topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from confluent_helpers import create_topic, produce_all
from suite import case, check, equal, raises, run_cases, unique

REGISTRY = next((argument.removeprefix("--registry=") for argument in sys.argv if argument.startswith("--registry=")), "")


def client():
    return SchemaRegistryClient({"url": REGISTRY})


def field(name, type, **more):
    return {"name": name, "type": type, **more}


def avro(name, *fields):
    return json.dumps({"type": "record", "name": name, "namespace": "shop", "fields": list(fields)})


USER = avro("User", field("name", "string"), field("age", ["null", "int"], default=None))


def through_a_topic(bootstrap, serializer, deserializer, values):
    """Sends values as the values of records and returns what a consumer reads."""
    topic = create_topic(bootstrap, "typed")
    producer = SerializingProducer({"bootstrap.servers": bootstrap, "value.serializer": serializer})
    for value in values:
        producer.produce(topic, value=value)
    equal(producer.flush(10), 0, "undelivered")
    reader = DeserializingConsumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": unique("g"),
            "auto.offset.reset": "earliest",
            "value.deserializer": deserializer,
        }
    )
    reader.subscribe([topic])
    read = []
    while len(read) < len(values):
        message = reader.poll(10)
        check(message is not None, "a record arrives")
        equal(message.error(), None)
        read.append(message.value())
    reader.close()
    return topic, read


@case
def avro_records(bootstrap):
    users = [{"name": f"n{number}", "age": number or None} for number in range(3)]
    topic, read = through_a_topic(bootstrap, AvroSerializer(client(), USER), AvroDeserializer(client()), users)
    equal(read, users)
    registered = client().get_latest_version(f"{topic}-value")
    equal((registered.version, registered.schema.schema_type), (1, "AVRO"))


@case
def validated_records(bootstrap):
    """Records that serializers make pass the broker's validation, and others are refused with the reason."""
    settings = {"confluent.value.schema.validation": "true", "ottla.schema.validation.level": "2"}
    try:
        topic = create_topic(bootstrap, "validated", settings=settings)
    except KafkaException as refused:
        # The registry is a process of its own, and the broker has none.
        equal(refused.args[0].code(), KafkaError.INVALID_CONFIG)
        return
    produce_all(bootstrap, topic, [{"value": serialized(topic, AvroSerializer(client(), USER), {"name": "Ann"})}])
    producer, errors = Producer({"bootstrap.servers": bootstrap}), []
    producer.produce(topic, value=b"{}", on_delivery=lambda error, _: errors.append(error))
    producer.produce(topic, value=None, key=b"k", partition=0)
    producer.flush(10)
    equal([error.code() for error in errors], [KafkaError.INVALID_RECORD])


def serialized(topic, serializer, value):
    return serializer(value, SerializationContext(topic, MessageField.VALUE))


@case
def json_records(bootstrap):
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Point",
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "number"}},
        "required": ["x"],
    }
    points = [{"x": 1, "y": 2.5}, {"x": 2}]
    schema = json.dumps(schema)
    _, read = through_a_topic(bootstrap, JSONSerializer(schema, client()), JSONDeserializer(schema), points)
    equal(read, points)


def message_class(file, name):
    """The class of a message of a file that is not compiled."""
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    descriptor = pool.FindMessageTypeByName(name)
    return message_factory.GetMessageClass(descriptor)


def int_and_message(message, message_type):
    types = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="number", number=1, type=types.TYPE_INT32, label=types.LABEL_OPTIONAL)
    message.field.add(
        name="other", number=2, type=types.TYPE_MESSAGE, label=types.LABEL_OPTIONAL, type_name=message_type
    )


@case
def protobuf_records_with_imports(bootstrap):
    """An import of the file's own is a reference; one of a well-known type is none."""
    line = descriptor_pb2.FileDescriptorProto(name="line.proto", package="shop", syntax="proto3")
    line.dependency.append(timestamp_pb2.DESCRIPTOR.name)
    int_and_message(line.message_type.add(name="Line"), ".google.protobuf.Timestamp")
    order = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    order.dependency.append(line.name)
    int_and_message(order.message_type.add(name="Order"), ".shop.Line")
    Line, Order = message_class(line, "shop.Line"), message_class(order, "shop.Order")
    settings = {"use.deprecated.format": False}
    orders = [Order(number=1, other=Line(number=2, other=timestamp_pb2.Timestamp(seconds=3))), Order(number=4)]
    serializer = ProtobufSerializer(Order, client(), settings)
    topic, read = through_a_topic(bootstrap, serializer, ProtobufDeserializer(Order, settings), orders)
    equal(read, orders)
    registered = client().get_latest_version(f"{topic}-value").schema
    equal([(it.name, it.subject) for it in registered.references], [("line.proto", "line.proto")])


@case
def references_across_subjects(bootstrap):
    registry, line, order = client(), unique("line"), unique("order")
    item = unique("Item").replace("-", "_")
    schema = Schema(avro(item, field("product", "string")), "AVRO")
    registry.register_schema(line, schema)
    reference = SchemaReference(f"shop.{item}", line, 1)
    order_schema = Schema(avro("Order", field("item", f"shop.{item}")), "AVRO", [reference])
    identity = registry.register_schema(order, order_schema)
    equal(registry.register_schema(order, order_schema), identity)
    serializer = AvroSerializer(registry, order_schema, conf={"auto.register.schemas": False})
    context = SerializationContext(order.removesuffix("-value"), MessageField.VALUE)
    registry.register_schema(f"{order}-value", order_schema)
    value = {"item": {"product": "tea"}}
    equal(AvroDeserializer(client(), order_schema)(serializer(value, context), context), value)
    error = raises(SchemaRegistryError, registry.delete_version, line, 1)
    equal((error.http_status_code, error.error_code), (422, 42206))


@case
def subjects_by_strategy(bootstrap):
    registry, topic = client(), unique("by-strategy")
    context = SerializationContext(topic, MessageField.KEY)
    for strategy, subject in [
        (None, f"{topic}-key"),
        (topic_record_subject_name_strategy, f"{topic}-shop.User"),
        (record_subject_name_strategy, "shop.User"),
    ]:
        settings = {"subject.name.strategy": strategy} if strategy else {}
        AvroSerializer(registry, USER, conf=settings)({"name": "a", "age": None}, context)
        equal(registry.get_latest_version(subject).version, 1, subject)


@case
def compatibility_versions_and_deletion(bootstrap):
    registry, subject = client(), unique("evolving")
    first = registry.register_schema(subject, Schema(USER, "AVRO"))
    wider = avro("User", field("name", "string"), field("age", ["null", "int"], default=None), field("a", "int", default=1))
    other = avro("User", field("name", "string"), field("city", "string"))
    check(registry.test_compatibility(subject, Schema(wider, "AVRO")), "a field with a default is compatible")
    check(not registry.test_compatibility(subject, Schema(other, "AVRO")), "a field without one is not")
    error = raises(SchemaRegistryError, registry.register_schema, subject, Schema(other, "AVRO"))
    equal(error.http_status_code, 409)
    second = registry.register_schema(subject, Schema(wider, "AVRO"))
    check(first != second, "another id")
    equal(registry.get_versions(subject), [1, 2])
    found = registry.lookup_schema(subject, Schema(USER, "AVRO"))
    equal((found.schema_id, found.version), (first, 1))
    equal(json.loads(registry.get_schema(first).schema_str), json.loads(USER))
    registry.set_compatibility(subject, "NONE")
    registry.register_schema(subject, Schema(other, "AVRO"))
    equal(registry.delete_version(subject, 2), 2)
    equal(registry.delete_subject(subject), [1, 3])
    error = raises(SchemaRegistryError, client().get_latest_version, subject)
    equal((error.http_status_code, error.error_code), (404, 40401))


run_cases()
