"""What today's confluent-kafka asks of a schema registry beyond confluent_schema_registry.py: data contracts and their
rules, metadata, GUIDs in headers, contexts, modes, and the asynchronous client.

    python confluent_registry_contracts.py localhost:9092 --registry=http://localhost:8081
"""

import asyncio
import json
import sys

from confluent_kafka.schema_registry import (
    AsyncSchemaRegistryClient,
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
    MetadataTags,
    Rule,
    RuleKind,
    RuleMode,
    RuleParams,
    RuleSet,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    ServerConfig,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.rules.cel.cel_executor import CelExecutor
from confluent_kafka.schema_registry.rules.cel.cel_field_executor import CelFieldExecutor
from confluent_kafka.schema_registry.rules.jsonata.jsonata_executor import JsonataExecutor
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from suite import case, check, equal, raises, run_cases, unique

REGISTRY = next((argument.removeprefix("--registry=") for argument in sys.argv if argument.startswith("--registry=")), "")
WRITE_LATEST = {"auto.register.schemas": False, "use.latest.version": True}

for executor in (CelExecutor, CelFieldExecutor, JsonataExecutor):
    executor.register()


def client():
    return SchemaRegistryClient({"url": REGISTRY})


def value_of(topic, headers=None):
    return SerializationContext(topic, MessageField.VALUE, headers)


def avro(name, *fields):
    fields = [{"name": field, "type": "string", **more} for field, more in fields]
    return json.dumps({"type": "record", "name": name, "namespace": "shop", "fields": fields})


def rule(name, kind, mode, type, expr, **more):
    return Rule(
        name=name,
        doc=more.get("doc"),
        kind=kind,
        mode=mode,
        type=type,
        tags=more.get("tags"),
        params=more.get("params"),
        expr=expr,
        on_success=more.get("on_success"),
        on_failure=more.get("on_failure"),
        disabled=more.get("disabled", False),
    )


def properties(**values):
    return Metadata(tags=None, properties=MetadataProperties(values), sensitive=[])


@case
def rules_are_stored_and_executed(bootstrap):
    registry, topic = client(), unique("rules")
    # Two rules of fields with a tag, one for the whole record.
    check_length = rule("length", RuleKind.CONDITION, RuleMode.WRITE, "CEL", "size(message.name) < 5", on_failure="ERROR")
    suffix = rule(
        "suffix",
        RuleKind.TRANSFORM,
        RuleMode.WRITE,
        "CEL_FIELD",
        "typeName == 'STRING' ; value + '!'",
        tags=["PII"],
        params=RuleParams({"a": "b"}),
        doc="with a mark",
        on_success="NONE",
    )
    rules = RuleSet(migration_rules=None, domain_rules=[check_length, suffix])
    text = avro("User", ("name", {}), ("mail", {"confluent:tags": ["PII"]}))
    tags = Metadata(MetadataTags({"shop.User.mail": ["PII"]}), MetadataProperties({"owner": "ann"}), ["owner"])
    identity = registry.register_schema(f"{topic}-value", Schema(text, "AVRO", [], tags, rules))
    stored = client().get_latest_version(f"{topic}-value").schema
    by_id = client().get_schema(identity)
    for schema in (stored, by_id):
        equal((schema.rule_set.domain_rules, schema.metadata), (rules.domain_rules, tags))
    serializer = AvroSerializer(client(), conf=WRITE_LATEST)
    data = serializer({"name": "ann", "mail": "a@b"}, value_of(topic))
    equal(AvroDeserializer(client())(data, value_of(topic)), {"name": "ann", "mail": "a@b!"})
    raises(SerializationError, serializer, {"name": "margaret", "mail": "a@b"}, value_of(topic))


@case
def rules_that_are_invalid_are_refused(bootstrap):
    registry, subject = client(), unique("bad-rules")
    for rules in [
        RuleSet(migration_rules=[rule("r", RuleKind.TRANSFORM, RuleMode.WRITE, "JSONATA", "$")], domain_rules=None),
        RuleSet(migration_rules=None, domain_rules=[rule("r", RuleKind.TRANSFORM, RuleMode.UPGRADE, "CEL", "true")]),
        RuleSet(migration_rules=None, domain_rules=[rule("r", RuleKind.CONDITION, RuleMode.READ, "CEL", "true")] * 2),
    ]:
        schema = Schema(avro("User", ("name", {})), "AVRO", [], None, rules)
        error = raises(SchemaRegistryError, registry.register_schema, subject, schema)
        equal((error.http_status_code, error.error_code), (422, 42210), error)


@case
def migration_rules_follow_the_compatibility_group(bootstrap):
    """Versions of another group are not compared, and a reader migrates between them by JSONata."""
    registry, topic = client(), unique("migrated")
    subject = f"{topic}-value"
    settings = ServerConfig(
        compatibility=ConfigCompatibilityLevel.BACKWARD,
        compatibility_group="application.major.version",
    )
    registry.set_config(subject, settings)
    config = registry.get_config(subject)
    equal((config.compatibility_level, config.compatibility_group), ("BACKWARD", "application.major.version"))
    old = Schema(avro("User", ("name", {})), "AVRO", [], properties(**{"application.major.version": "1"}))
    registry.register_schema(subject, old)
    upgrade = rule(
        "up", RuleKind.TRANSFORM, RuleMode.UPGRADE, "JSONATA", "$merge([$sift($, function($v, $k) {$k != 'name'}), {'full': $.'name'}])"
    )
    downgrade = rule(
        "down", RuleKind.TRANSFORM, RuleMode.DOWNGRADE, "JSONATA", "$merge([$sift($, function($v, $k) {$k != 'full'}), {'name': $.'full'}])"
    )
    rules = RuleSet(migration_rules=[upgrade, downgrade], domain_rules=None)
    new = Schema(avro("User", ("full", {})), "AVRO", [], properties(**{"application.major.version": "2"}), rules)
    registry.register_schema(subject, new)
    wanted = lambda version: {"use.latest.with.metadata": {"application.major.version": version}}
    write = {"auto.register.schemas": False, **wanted("1")}
    data = AvroSerializer(client(), conf=write)({"name": "ann"}, value_of(topic))
    equal(data[1:5], registry.get_version(subject, 1).schema_id.to_bytes(4, "big"))
    equal(AvroDeserializer(client(), conf=wanted("2"))(data, value_of(topic)), {"full": "ann"})
    data = AvroSerializer(client(), conf=WRITE_LATEST)({"full": "bob"}, value_of(topic))
    equal(AvroDeserializer(client(), conf=wanted("1"))(data, value_of(topic)), {"name": "bob"})


@case
def versions_are_found_by_metadata(bootstrap):
    registry, subject = client(), unique("metadata")
    for number, stage in [("1", "test"), ("2", "live"), ("3", "live")]:
        schema = Schema(avro("User", ("name", {})), "AVRO", [], properties(number=number, stage=stage))
        registry.register_schema(subject, schema)
    equal(registry.get_latest_with_metadata(subject, {"stage": "live"}).version, 3)
    equal(registry.get_latest_with_metadata(subject, {"stage": "test", "number": "1"}).version, 1)
    error = raises(SchemaRegistryError, registry.get_latest_with_metadata, subject, {"stage": "none"})
    equal((error.http_status_code, error.error_code), (404, 40403), error)


@case
def guids_in_headers(bootstrap):
    registry, topic = client(), unique("guid")
    text, headers = avro("User", ("name", {})), []
    serializer = AvroSerializer(registry, text, conf={"schema.id.serializer": header_schema_id_serializer})
    user = {"name": "margaret"}
    data = serializer(user, value_of(topic, headers))
    [(name, header)] = headers
    equal((name, header[0], len(header)), ("__value_schema_id", 1, 17))
    equal(data, b"\x10margaret")
    equal(AvroDeserializer(client())(data, value_of(topic, headers)), user)
    found = registry.get_latest_version(f"{topic}-value")
    equal(found.guid.replace("-", ""), header[1:].hex())
    equal(json.loads(client().get_schema_by_guid(found.guid).schema_str), json.loads(text))
    error = raises(SchemaRegistryError, registry.get_schema_by_guid, "00000000-0000-0000-0000-000000000000")
    equal(error.http_status_code, 404)
    full = client().register_schema_full_response(f"{topic}-other", Schema(text, "AVRO"))
    equal((full.guid, full.schema_id), (found.guid, found.schema_id))


@case
def normalized_schemas_and_formats(bootstrap):
    registry, subject = client(), unique("normal")
    text = '{"namespace": "shop", "name": "User", "fields": [{"type": {"type": "string"}, "name": "a"}], "type": "record"}'
    first = registry.register_schema(subject, Schema(text, "AVRO"), normalize_schemas=True)
    normal = avro("User", ("a", {}))
    equal(registry.lookup_schema(subject, Schema(normal, "AVRO")).schema_id, first)
    equal(client().lookup_schema(subject, Schema(text, "AVRO"), normalize_schemas=True).version, 1)
    serializer = AvroSerializer(client(), text, conf={"normalize.schemas": True})
    data = serializer({"a": "x"}, value_of(subject))
    equal(data[:5], b"\0" + first.to_bytes(4, "big"))
    base, derived = unique("base"), unique("derived")
    name = unique("Item").replace("-", "_")
    registry.register_schema(base, Schema(avro(name, ("a", {})), "AVRO"))
    schema = json.dumps({"type": "array", "items": f"shop.{name}"})
    identity = registry.register_schema(derived, Schema(schema, "AVRO", [SchemaReference(f"shop.{name}", base, 1)]))
    resolved = client().get_schema(identity, fmt="resolved")
    equal(json.loads(resolved.schema_str)["items"]["name"], name)
    equal(client().get_referenced_by(base, 1), [identity])


@case
def subjects_and_ids_are_listed_in_every_way(bootstrap):
    registry, prefix = client(), unique("listed")
    schema = Schema(avro(unique("A").replace("-", "_"), ("a", {})), "AVRO")
    for name in "abc":
        identity = registry.register_schema(f"{prefix}-{name}", schema)
    registry.delete_subject(f"{prefix}-c")
    names = [f"{prefix}-{name}" for name in "abc"]
    equal(registry.get_subjects(subject_prefix=prefix), names[:2])
    equal(registry.get_subjects(subject_prefix=prefix, deleted=True), names)
    equal(registry.get_subjects(subject_prefix=prefix, deleted=True, offset=1, limit=1), names[1:2])
    equal(sorted(registry.get_subjects_by_schema_id(identity)), names[:2])
    equal(sorted(registry.get_subjects_by_schema_id(identity, deleted=True)), names)
    # The subject only names a context.
    equal(sorted(registry.get_subjects_by_schema_id(identity, subject_name=names[0])), names[:2])
    versions = registry.get_schema_versions(identity)
    equal(sorted((it.subject, it.version) for it in versions), [(name, 1) for name in names[:2]])
    equal(registry.get_versions(names[2], deleted=True), [1])
    equal(registry.delete_subject(names[2], permanent=True), [1])
    equal(registry.get_schema_types(), ["JSON", "PROTOBUF", "AVRO"])


@case
def settings_and_modes(bootstrap):
    registry, subject = client(), unique("settings")
    rules = RuleSet(None, [rule("r", RuleKind.CONDITION, RuleMode.WRITEREAD, "CEL", "true")])
    wanted = ServerConfig(
        compatibility=ConfigCompatibilityLevel.FULL_TRANSITIVE,
        default_metadata=properties(owner="ann"),
        override_metadata=properties(team="data"),
        default_rule_set=rules,
    )
    registry.set_config(subject, wanted)
    got = registry.get_config(subject)
    equal(got.compatibility_level, "FULL_TRANSITIVE")
    equal((got.default_metadata, got.override_metadata), (properties(owner="ann"), properties(team="data")))
    equal(got.default_rule_set.domain_rules, rules.domain_rules)
    registry.register_schema(subject, Schema(avro("User", ("a", {})), "AVRO"))
    stored = registry.get_latest_version(subject).schema
    equal(stored.metadata.properties.properties, {"owner": "ann", "team": "data"})
    equal(stored.rule_set.domain_rules, rules.domain_rules)
    equal(registry.delete_config(subject).compatibility_level, "FULL_TRANSITIVE")
    error = raises(SchemaRegistryError, registry.get_config, subject)
    equal((error.http_status_code, error.error_code), (404, 40408))
    other = unique("mode")
    equal(registry.get_global_mode(), "READWRITE")
    equal(registry.update_global_mode("READWRITE", force=True), "READWRITE")
    equal(registry.update_mode(other, "READONLY"), "READONLY")
    equal(registry.get_mode(other), "READONLY")
    error = raises(SchemaRegistryError, registry.register_schema, other, Schema('"string"', "AVRO"))
    equal((error.http_status_code, error.error_code), (422, 42205))
    equal(registry.delete_mode(other), "READONLY")
    error = raises(SchemaRegistryError, registry.get_mode, other)
    equal((error.http_status_code, error.error_code), (404, 40409))


@case
def contexts(bootstrap):
    registry, context = client(), unique("ctx")
    registry.register_schema(f":.{context}:a-value", Schema('"string"', "AVRO"))
    check(f".{context}" in registry.get_contexts(), "the context is listed")
    inside = SchemaRegistryClient({"url": f"{REGISTRY}/contexts/.{context}"})
    equal(inside.get_latest_version("a-value").schema.schema_str, '"string"')
    equal(registry.get_subjects(subject_prefix=f":.{context}:"), [f":.{context}:a-value"])


@case
def associations_are_absent(bootstrap):
    error = raises(SchemaRegistryError, client().get_associations_by_resource_name, "t", "-", "topic", ["value"])
    equal(error.http_status_code, 404)
    settings = {"subject.name.strategy.type": "ASSOCIATED"}
    topic = unique("associated")
    AvroSerializer(client(), '"string"', conf=settings)("a", value_of(topic))
    equal(client().get_latest_version(f"{topic}-value").version, 1)


@case
def json_schemas_with_references_and_rules(bootstrap):
    registry, topic, base = client(), unique("json"), unique("base")
    draft = "http://json-schema.org/draft-07/schema#"
    registry.register_schema(base, Schema(json.dumps({"$schema": draft, "type": "string", "minLength": 2}), "JSON"))
    text = {"$schema": draft, "title": "P", "type": "object", "properties": {"name": {"$ref": "name.json"}}}
    rules = RuleSet(None, [rule("r", RuleKind.CONDITION, RuleMode.WRITE, "CEL", "message.name != 'bad'")])
    schema = Schema(json.dumps(text), "JSON", [SchemaReference("name.json", base, 1)], None, rules)
    registry.register_schema(f"{topic}-value", schema)
    serializer = JSONSerializer(schema, client(), conf=WRITE_LATEST)
    data = serializer({"name": "ann"}, value_of(topic))
    equal(JSONDeserializer(None, schema_registry_client=client())(data, value_of(topic)), {"name": "ann"})
    raises(SerializationError, serializer, {"name": "bad"}, value_of(topic))
    raises(SerializationError, serializer, {"name": "x"}, value_of(topic))


@case
def asynchronous_client(bootstrap):
    async def run():
        registry, subject = AsyncSchemaRegistryClient({"url": REGISTRY}), unique("async")
        schemas = [Schema(avro("User", (f"f{number}", {"default": ""})), "AVRO") for number in range(5)]
        await registry.set_compatibility(subject, "NONE")
        ids = await asyncio.gather(*(registry.register_schema(subject, schema) for schema in schemas))
        equal(len(set(ids)), 5)
        equal(await registry.get_versions(subject), [1, 2, 3, 4, 5])
        equal((await registry.lookup_schema(subject, schemas[0])).schema_id, ids[0])
        check(await registry.test_compatibility_all_versions(subject, schemas[0]), "compatible")

    asyncio.run(run())


run_cases()
