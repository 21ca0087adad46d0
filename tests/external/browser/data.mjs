// What the broker has before the steps begin, made through the console's API.

import assert from "node:assert/strict";

/** Calls the API of a console, and returns what it answers. */
export async function api(console, method, path, body) {
  const response = await fetch(new URL(`/api/v1${path}`, console), {
    method, headers: { "X-Ottla-Admin": "1" }, body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

export const HTML = "<img src=x onerror=\"alert(1)\"><script>window.attacked=1</script>\u001b[31m\u0000\u202eevil";

export const ORDER = {
  type: "record", name: "Order", fields: [
    { name: "id", type: "int" }, { name: "customer", type: "Customer" }, { name: "note", type: "string", default: "" },
  ],
};
const CUSTOMER = { type: "record", name: "Customer", fields: [{ name: "name", type: "string" }] };

const text = (it) => [it.length << 1, ...Buffer.from(it)];
const base64 = (bytes) => ({ base64: Buffer.from(bytes).toString("base64") });
const framed = (id, payload) => base64([0, id >> 24, id >> 16 & 255, id >> 8 & 255, id & 255, ...payload]);

export async function prepare(console) {
  const register = (subject, body) => api(console, "POST", `/registry/subjects/${subject}/versions`, body);
  await register("customer", { schema: JSON.stringify(CUSTOMER) });
  const references = [{ name: "Customer", subject: "customer", version: 1 }];
  const { id: avro } = await register("orders-value", { schema: JSON.stringify(ORDER), references });
  const proto = "syntax = \"proto3\"; message Empty {} message Event { string kind = 1; int64 at = 2; }";
  const { id: protobuf } = await register("events-value", { schemaType: "PROTOBUF", schema: proto });
  const { id: json } = await register("orders-key", { schemaType: "JSON", schema: "{\"type\": \"object\"}" });
  const { guid } = await api(console, "GET", "/registry/subjects/orders-value/versions/1");
  const names = ["Ann", "Bob", "Cilla"];
  const order = (number) => [number << 1, ...text(names[number % 3]), ...text("")];
  const records = [...Array(30).keys()].map((number) => ({
    key: framed(json, Buffer.from(`{"order":${number}}`)), value: framed(avro, order(number)), partition: number % 3,
  }));
  // A Protobuf record of the second message, and one whose schema is named by a header.
  records.push({ value: framed(protobuf, [2, 2, 0x0a, 4, ...Buffer.from("sale"), 0x10, 7]), partition: 0 });
  const header = { key: "__value_schema_id", value: base64([1, ...Buffer.from(guid.replaceAll("-", ""), "hex")]) };
  records.push({ value: base64([60, ...text("Dora"), ...text("by header")]), headers: [header], partition: 1 });
  // Bytes of no value of the schema stay bytes.
  records.push({ value: framed(avro, [255, 255]), partition: 2 });
  await api(console, "POST", "/topics/orders/records", { records });
  const hostile = { key: HTML, value: { html: HTML }, headers: [{ key: HTML, value: HTML }] };
  await api(console, "POST", "/topics/hostile/records", { records: [hostile, { value: HTML }] });
  await api(console, "POST", "/acls", {
    resource_type: "TOPIC", resource_name: "orders", principal: "User:ann", operation: "READ",
  });
  await api(console, "POST", "/quotas", { entity: { user: "ann" }, values: { producer_byte_rate: 1048576 } });
}
