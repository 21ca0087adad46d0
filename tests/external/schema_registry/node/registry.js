// The npm clients of a schema registry: node registry.js http://localhost:8081. Prints a line for each case that passed.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { create, createFileRegistry } = require('@bufbuild/protobuf');
const { FileDescriptorProtoSchema, FileDescriptorSetSchema, FieldDescriptorProto_Label, FieldDescriptorProto_Type } =
  require('@bufbuild/protobuf/wkt');
const confluent = require('@confluentinc/schemaregistry');
const kafkajs = require('@kafkajs/confluent-schema-registry');

const url = process.argv[2];
const unique = name => `${name}-${randomUUID().slice(0, 8)}`;
const newClient = () => new confluent.SchemaRegistryClient({ baseURLs: [url] });
const { SerdeType } = confluent;
const VALUE = SerdeType.VALUE;
const LATEST = { autoRegisterSchemas: false, useLatestVersion: true };

const avro = (name, ...fields) => JSON.stringify({
  type: 'record', name, namespace: 'shop', fields: fields.map(field => ({ type: 'string', ...field })),
});
const USER = avro('User', { name: 'name' }, { name: 'mail', default: '' });
const POINT = JSON.stringify({
  $schema: 'http://json-schema.org/draft-07/schema#', title: 'Point', type: 'object',
  properties: { x: { type: 'integer' } }, required: ['x'], additionalProperties: false,
});

/** Asserts that a call of Confluent's client fails with these codes. */
async function refused(call, status, code) {
  await assert.rejects(call, error => {
    assert.equal(error.status, status, error.message);
    assert.equal(error.errorCode, code, error.message);
    return true;
  });
}

/** A file with a message, as generated code has it. */
function protobufFile() {
  const { STRING, INT32 } = FieldDescriptorProto_Type;
  const field = (name, number, type) => ({ name, number, type, label: FieldDescriptorProto_Label.OPTIONAL });
  const file = create(FileDescriptorProtoSchema, {
    name: 'order.proto', package: 'shop', syntax: 'proto3',
    messageType: [{ name: 'Order', field: [field('id', 1, INT32), field('item', 2, STRING)] }],
  });
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
}

const cases = {
  async everyCallOfConfluentsClient() {
    const client = newClient(), subject = unique('user');
    const schema = { schemaType: 'AVRO', schema: USER };
    const id = await client.register(subject, schema);
    assert.equal(await newClient().register(subject, schema), id);
    const full = await newClient().registerFullResponse(subject, schema, true);
    assert.equal(full.id, id);
    assert.equal(await newClient().getId(subject, schema), id);
    assert.deepEqual(JSON.parse((await newClient().getBySubjectAndId(subject, id)).schema), JSON.parse(USER));
    assert.deepEqual(JSON.parse((await newClient().getByGuid(full.guid)).schema), JSON.parse(USER));
    const latest = await newClient().getLatestSchemaMetadata(subject);
    assert.deepEqual([latest.id, latest.version, latest.subject], [id, 1, subject]);
    assert.equal((await newClient().getSchemaMetadata(subject, 1, true)).id, id);
    assert.equal(await newClient().getVersion(subject, schema), 1);
    assert.ok((await newClient().getAllSubjects()).includes(subject));
    const other = { schemaType: 'AVRO', schema: avro('User', { name: 'city' }) };
    assert.equal(await client.testCompatibility(subject, 1, other), false);
    assert.equal(await client.testSubjectCompatibility(subject, schema), true);
    await refused(() => client.register(subject, other), 409, 40901);
    assert.equal(await client.updateCompatibility(subject, 'NONE'), 'NONE');
    assert.equal(await client.getCompatibility(subject), 'NONE');
    assert.equal(await client.getDefaultCompatibility(), 'BACKWARD');
    await client.register(subject, other);
    assert.deepEqual(await client.getAllVersions(subject), [1, 2]);
    const settings = { compatibility: 'FULL', compatibilityGroup: 'major', normalize: true };
    assert.equal((await client.updateConfig(subject, settings)).compatibility, 'FULL');
    const { compatibilityLevel, compatibilityGroup, normalize } = await newClient().getConfig(subject);
    assert.deepEqual([compatibilityLevel, compatibilityGroup, normalize], ['FULL', 'major', true]);
    assert.equal((await client.getDefaultConfig()).compatibilityLevel, 'BACKWARD');
    assert.equal(await client.deleteSubjectVersion(subject, 1), 1);
    assert.deepEqual(await client.deleteSubject(subject), [2]);
    assert.deepEqual(await client.deleteSubject(subject, true), [1, 2]);
    await refused(() => newClient().getLatestSchemaMetadata(subject), 404, 40401);
    await refused(() => newClient().getBySubjectAndId(subject, 99999), 404, 40403);
    await refused(() => client.getAssociationsByResourceName('t', '-', 'topic', ['value'], null, 0, -1), 404, 404);
  },

  async confluentsAvroWithRulesAndMetadata() {
    confluent.CelExecutor.register();
    confluent.CelFieldExecutor.register();
    const client = newClient(), topic = unique('rules');
    const rules = [
      { name: 'check', kind: 'CONDITION', mode: 'WRITE', type: 'CEL', expr: "message.name != 'eve'" },
      { name: 'mark', kind: 'TRANSFORM', mode: 'WRITE', type: 'CEL_FIELD', tags: ['PII'],
        expr: "name == 'mail' ; value + '!'" },
    ];
    const info = {
      schemaType: 'AVRO', schema: avro('User', { name: 'name' }, { name: 'mail', 'confluent:tags': ['PII'] }),
      metadata: { properties: { owner: 'ann' } }, ruleSet: { domainRules: rules },
    };
    await client.register(`${topic}-value`, info);
    const stored = await newClient().getLatestWithMetadata(`${topic}-value`, { owner: 'ann' });
    assert.equal(stored.ruleSet.domainRules.length, 2);
    assert.deepEqual(stored.metadata, { properties: { owner: 'ann' } });
    await refused(() => newClient().getLatestWithMetadata(`${topic}-value`, { owner: 'bob' }), 404, 40403);
    const serializer = new confluent.AvroSerializer(client, VALUE, LATEST);
    const data = await serializer.serialize(topic, { name: 'ann', mail: 'a@b' });
    const reader = new confluent.AvroDeserializer(newClient(), VALUE, {});
    assert.deepEqual({ ...await reader.deserialize(topic, data) }, { name: 'ann', mail: 'a@b!' });
    await assert.rejects(() => serializer.serialize(topic, { name: 'eve', mail: '' }));
  },

  async confluentsGuidInHeaders() {
    const client = newClient(), topic = unique('guid'), headers = {};
    await client.register(`${topic}-value`, { schemaType: 'AVRO', schema: USER });
    const settings = { ...LATEST, schemaIdSerializer: confluent.HeaderSchemaIdSerializer };
    const data = await new confluent.AvroSerializer(client, VALUE, settings)
      .serialize(topic, { name: 'margaret', mail: 'm@b' }, headers);
    assert.equal(headers.__value_schema_id.length, 17);
    const read = await new confluent.AvroDeserializer(newClient(), VALUE, {}).deserialize(topic, data, headers);
    assert.equal(read.name, 'margaret');
  },

  async confluentsJsonWithReferences() {
    const client = newClient(), topic = unique('json'), base = unique('name');
    const text = { $schema: 'http://json-schema.org/draft-07/schema#', type: 'string', minLength: 2 };
    await client.register(base, { schemaType: 'JSON', schema: JSON.stringify(text) });
    const schema = { ...JSON.parse(POINT), properties: { x: { type: 'integer' }, name: { $ref: 'name.json' } } };
    const references = [{ name: 'name.json', subject: base, version: 1 }];
    await client.register(`${topic}-value`, { schemaType: 'JSON', schema: JSON.stringify(schema), references });
    const serializer = new confluent.JsonSerializer(client, VALUE, { ...LATEST, validate: true });
    const data = await serializer.serialize(topic, { x: 1, name: 'ann' });
    const reader = new confluent.JsonDeserializer(newClient(), VALUE, {});
    assert.deepEqual(await reader.deserialize(topic, data), { x: 1, name: 'ann' });
    await assert.rejects(() => serializer.serialize(topic, { x: 1, name: 'a' }));
  },

  async confluentsProtobuf() {
    const client = newClient(), topic = unique('protobuf'), file = protobufFile();
    const Order = file.getMessage('shop.Order');
    const serializer = new confluent.ProtobufSerializer(client, VALUE, { autoRegisterSchemas: true });
    serializer.registry.add(Order);
    const data = await serializer.serialize(topic, create(Order, { id: 7, item: 'tea' }));
    const read = await new confluent.ProtobufDeserializer(newClient(), VALUE, {}).deserialize(topic, data);
    assert.deepEqual([read.id, read.item], [7, 'tea']);
    const stored = await newClient().getLatestSchemaMetadata(`${topic}-value`);
    assert.equal(stored.schemaType, 'PROTOBUF');
    assert.match(stored.schema, /message Order/);
  },

  async kafkajsAvro() {
    const registry = new kafkajs.SchemaRegistry({ host: url }), subject = unique('kafkajs');
    const schema = { type: kafkajs.SchemaType.AVRO, schema: USER };
    const { id } = await registry.register(schema, { subject });
    assert.equal((await registry.register(schema, { subject })).id, id);
    const other = new kafkajs.SchemaRegistry({ host: url });
    const data = await registry.encode(id, { name: 'ann', mail: 'a@b' });
    assert.deepEqual({ ...await other.decode(data) }, { name: 'ann', mail: 'a@b' });
    assert.equal(await other.getLatestSchemaId(subject), id);
    assert.equal(await other.getRegistryId(subject, 1), id);
    assert.equal(await other.getRegistryIdBySchema(subject, schema), id);
    // A subject with a level of its own, as register() sets it.
    const strict = unique('kafkajs');
    await registry.register(schema, { subject: strict, compatibility: kafkajs.COMPATIBILITY.FULL });
    assert.equal(await newClient().getCompatibility(strict), 'FULL');
    const changed = { ...schema, schema: avro('User', { name: 'city' }) };
    await assert.rejects(() => registry.register(changed, { subject }), { status: 409 });
    await assert.rejects(() => other.getLatestSchemaId(unique('none')), { status: 404 });
  },

  async kafkajsReferences() {
    const registry = new kafkajs.SchemaRegistry({ host: url });
    const base = unique('item'), Item = unique('Item').replaceAll('-', '_');
    await registry.register({ type: 'AVRO', schema: avro(Item, { name: 'product' }) }, { subject: base });
    const schema = {
      type: 'AVRO', schema: avro('Order', { name: 'item', type: `shop.${Item}` }),
      references: [{ name: `shop.${Item}`, subject: base, version: 1 }],
    };
    const { id } = await registry.register(schema, { subject: unique('order') });
    const data = await registry.encode(id, { item: { product: 'tea' } });
    const read = await new kafkajs.SchemaRegistry({ host: url }).decode(data);
    assert.equal(read.item.product, 'tea');
    const proto = unique('item.proto');
    await registry.register(
      { type: 'PROTOBUF', schema: 'syntax = "proto3"; package shop; message Item { string product = 1; }' },
      { subject: proto });
    const order = {
      type: 'PROTOBUF',
      schema: 'syntax = "proto3"; package shop; import "item.proto"; message Order { Item item = 1; }',
      references: [{ name: 'item.proto', subject: proto, version: 1 }],
    };
    const registered = await registry.register(order, { subject: unique('order') });
    const bytes = await registry.encode(registered.id, { item: { product: 'tea' } });
    const other = new kafkajs.SchemaRegistry({ host: url });
    assert.equal((await other.decode(bytes)).item.product, 'tea');
  },

  async kafkajsJsonAndProtobuf() {
    const registry = new kafkajs.SchemaRegistry({ host: url });
    const json = await registry.register({ type: 'JSON', schema: POINT }, { subject: unique('json') });
    const other = new kafkajs.SchemaRegistry({ host: url });
    assert.deepEqual(await other.decode(await registry.encode(json.id, { x: 1 })), { x: 1 });
    await assert.rejects(() => registry.encode(json.id, { x: 'a' }));
    const schema = 'syntax = "proto3"; package shop; message Sum { int32 total = 1; }';
    const proto = await registry.register({ type: 'PROTOBUF', schema }, { subject: unique('proto') });
    assert.equal((await other.decode(await registry.encode(proto.id, { total: 3 }))).total, 3);
  },
};

(async () => {
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run();
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`FAILED ${name}: ${error.stack}`);
      process.exitCode = 1;
    }
  }
})();
