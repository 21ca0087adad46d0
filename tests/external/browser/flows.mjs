// What people do with the console.

import assert from "node:assert/strict";

import { api, HTML, ORDER } from "./data.mjs";

const MIB = 1 << 20;
/** The most that the broker and the page may take more while a million records are searched. */
const MAX_BROKER_GROWTH = 64 * MIB;
const MAX_HEAP = 64 * MIB;
/** The longest time to the first records of the topic with a million. */
const MAX_FIRST_PAGE = 10_000;

const shown = (page) => page.run(() => document.querySelectorAll("#records details").length);
const records = (page, count) => page.until(`${count} records`, (it) => document.querySelectorAll("#records details").length === it, count);
const status = (page, text) => page.has(text, "status");

export async function million(page, console, memory) {
  const before = memory();
  const started = Date.now();
  await page.visit(console, "/topics/big/records");
  await page.until("first records", () => document.querySelectorAll("#records details").length > 0);
  const first = Date.now() - started;
  assert.ok(first < MAX_FIRST_PAGE, `the first records took ${first} ms`);
  await records(page, 50);
  await page.fill("records-from", "earliest");
  await page.fill("records-limit", "1000");
  await page.click("records-submit");
  await records(page, 1000);
  // Older ones leave the page, so that it stays small.
  for (const count of [2000, 2000]) {
    const last = await page.run(() => document.querySelector("#records details:last-child").id);
    await page.click("records-more");
    await page.until("more records", (it) => document.querySelector("#records details:last-child").id !== it && document.getElementById("records-more"), last);
    assert.equal(await shown(page), count);
  }
  // A text that one record of a million contains.
  await page.fill("records-text", "Oulu");
  await page.fill("records-limit", "50");
  const search = Date.now();
  await page.click("records-submit");
  for (;;) {
    await page.until("result", () => document.querySelectorAll("#records details").length === 1 || document.getElementById("records-more"));
    if (await shown(page) === 1) break;
    await page.click("records-more");
    await page.until("search", () => !document.getElementById("records-more"));
  }
  const found = Date.now() - search;
  await page.has("needle", "records");
  await page.fill("records-text", "");
  await page.fill("records-jq", ".amount == 5 and $partition == 1");
  await page.click("records-submit");
  await records(page, 50);
  await page.has("\"amount\":5", "records");
  const [growth, heap] = [memory() - before, await page.heap()];
  assert.ok(growth < MAX_BROKER_GROWTH, `the broker grew by ${growth} bytes`);
  assert.ok(heap < MAX_HEAP, `the page has ${heap} bytes`);
  const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`;
  return `first records after ${first} ms, one record found after ${found} ms, broker +${mib(growth)}, page ${mib(heap)}`;
}

export async function schemaRecords(page, console) {
  await page.visit(console, "/topics/orders/records");
  await page.element("records-text");
  await page.fill("records-from", "earliest");
  const search = async (id, value, count) => {
    await page.fill("records-text", "");
    await page.fill("records-jq", "");
    await page.fill(id, value);
    await page.click("records-submit");
    await records(page, count);
  };
  await search("records-jq", ".customer.name == \"Ann\"", 10);
  await search("records-jq", "$key.order == 7", 1);
  await search("records-text", "by header", 1);
  await search("records-text", "\"kind\":\"sale\"", 1);
  await page.run(() => document.querySelector("#records details").open = true);
  await page.has("protobuf, schema", "records");
  await search("records-text", "\"name\":\"Bob\"", 10);
  await page.run(() => document.querySelector("#records details").open = true);
  await page.has("avro, schema", "records");
  await page.has("json-schema, schema", "records");
}

export async function hostileRecords(page, console) {
  await page.visit(console, "/topics/hostile/records");
  await page.until("both records", () => document.querySelectorAll("#records details").length === 2);
  const text = await page.run(() => {
    for (const it of document.querySelectorAll("#records details")) it.open = true;
    return new Promise((resolve) => setTimeout(() => resolve(document.getElementById("records").textContent), 100));
  });
  assert.ok(text.includes("<img src=x onerror=\"alert(1)\">"), text);
  assert.ok(text.includes("\\u001b[31m\\u0000\\u202eevil"), text);
  assert.ok(!/[\u0000-\u0008\u001b\u202e]/.test(text), "control characters are visible");
  const elements = await page.run(() => [document.querySelectorAll("main img, main script").length, window.attacked ?? null]);
  assert.deepEqual(elements, [0, null], "no element comes from a record");
  assert.ok(HTML.includes("\u202e"));
}

export async function keyboard(page, console) {
  await page.visit(console, "/");
  await page.has("Log directories");
  await page.tabTo("skip");
  await page.tabTo("nav-topics");
  await page.press("Enter");
  await page.element("new-topic");
  await page.until("focus on the content", () => document.activeElement.id === "main");
  await page.tabTo("new-topic");
  await page.press("Enter");
  await page.tabTo("new-topic-name");
  await page.type("typed");
  await page.tabTo("new-topic-submit");
  await page.press("Space");
  await status(page, "Topic typed was created.");
  await page.tabTo("delete-topic");
  await page.press("Enter");
  await page.until("focus on the question", () => document.activeElement.id === "delete-topic-confirm");
  await page.press("Enter");
  await status(page, "Topic typed was deleted.");
}

/** Figures that change leave the focus where it is. */
export async function focusStays(page, console) {
  await page.visit(console, "/topics/payments");
  await page.element("partitions-region");
  await page.tabTo("partitions-region");
  const end = () => document.querySelector("#partitions tbody td:nth-child(4)").textContent;
  const before = await page.run(end);
  await page.until("newer figures", (it) => document.querySelector("#partitions tbody td:nth-child(4)").textContent !== it, before);
  assert.equal(await page.run(() => document.activeElement.id), "partitions-region");
}

export async function produce(page, console) {
  await page.visit(console, "/topics/hostile/produce");
  await page.fill("produce-key", "from the form");
  await page.fill("produce-value", "{\"id\": 12345678901234567890}");
  await page.fill("produce-headers", "source=console\nempty=");
  await page.click("produce-submit");
  await status(page, "The record has offset 2 in partition 0.");
  await page.click("tab-records");
  await page.has("from the form");
  await page.run(() => document.getElementById("record-0-2").open = true);
  await page.has("12345678901234567890", "record-0-2");
  await page.has("Header source", "record-0-2");
  await produceBySchema(page, console);
}

async function produceBySchema(page, console) {
  await page.visit(console, "/topics/orders/produce");
  await page.fill("produce-partition", "2");
  await page.fill("produce-value", "{\"id\": 1}");
  await page.click("produce-submit");
  await page.has("INVALID_RECORD");
  await page.fill("produce-value", "{\"id\": 4711, \"customer\": {\"name\": \"Eve\"}, \"note\": \"\"}");
  await page.click("produce-submit");
  await status(page, "in partition 2.");
  await page.visit(console, "/topics/orders/records");
  await page.fill("records-jq", ".id == 4711");
  await page.click("records-submit");
  await records(page, 1);
}

export async function reset(page, console) {
  await page.visit(console, "/groups/shipping");
  await page.has("Lag in offsets over");
  const lag = await page.run(() => [...document.querySelectorAll("#offsets tbody tr")].map((row) => [...row.cells].slice(4, 6).map((it) => it.textContent)));
  assert.deepEqual(lag.map((it) => it[0]), ["499,900", "499,801"]);
  for (const [, time] of lag) assert.match(time, /^[23] min \d+ s$/);
  await page.fill("reset-to", "shift");
  await page.fill("reset-value", "50");
  await page.click("reset-dry-run");
  await page.has("150", "reset-plan");
  await page.has("250", "reset-plan");
  const committed = async () => (await api(console, "GET", "/groups/shipping")).offsets.map((it) => it.committed);
  assert.deepEqual(await committed(), [100, 200], "a dry run changes nothing");
  await page.click("reset-apply");
  await status(page, "The offsets were reset.");
  assert.deepEqual(await committed(), [150, 250]);
  // A group with members is refused.
  await page.visit(console, "/groups/billing");
  await page.has("Lag in offsets over");
  await page.fill("reset-to", "earliest");
  await page.click("reset-dry-run");
  await page.click("reset-apply");
  await page.has("NON_EMPTY_GROUP", "reset-result");
}

export async function schemas(page, console) {
  await page.visit(console, "/schemas");
  await page.has("orders-value");
  await page.fill("subject-filter", "events");
  await page.until("filtered list", () => document.querySelectorAll("#subjects tbody tr").length === 1);
  await page.visit(console, "/schemas/orders-value");
  await page.has("\"customer\"", "schema-text");
  await page.has("Customer: customer, version 1", "schema-version");
  await page.click("new-version");
  await page.fill("new-references", "[{\"name\": \"Customer\", \"subject\": \"customer\", \"version\": 1}]");
  const check = async (fields) => {
    await page.fill("new-schema", JSON.stringify({ ...ORDER, fields }));
    await page.click("schema-check");
  };
  await check([...ORDER.fields, { name: "more", type: "string" }]);
  await page.has("READER_FIELD_MISSING_DEFAULT_VALUE", "check-result");
  await page.fill("new-schema", "{");
  await page.click("schema-check");
  await page.has("42201");
  await check(ORDER.fields);
  await page.has("It is version 1 already", "check-result");
  await check([...ORDER.fields, { name: "more", type: "string", default: "" }]);
  await page.click("schema-register");
  await status(page, "The schema has the id ");
  await page.has("\"more\"", "schema-text");
  await page.click("delete-version");
  await page.click("delete-version-confirm");
  await status(page, "Version 2 was deleted.");
  await page.has("2 (deleted)");
  assert.equal(await page.run(() => document.getElementById("version").value), "1");
  const active = await api(console, "GET", "/registry/subjects/orders-value/versions");
  const all = await api(console, "GET", "/registry/subjects/orders-value/versions?deleted=true");
  assert.deepEqual([active, all], [[1], [1, 2]], "the deletion is a soft one");
  await page.fill("compatibility", "FULL");
  await page.click("compatibility-submit");
  await page.has("FULL (of this subject)");
  await page.click("compatibility-remove");
  await page.has("BACKWARD (of all subjects)");
  await page.visit(console, "/schemas/new%2Fsubject");
  await page.fill("new-schema", "\"string\"");
  await page.click("schema-check");
  await page.click("schema-register");
  await status(page, "The schema has the id ");
  await page.click("delete-subject");
  await page.click("delete-subject-confirm");
  await status(page, "Subject new/subject was deleted.");
}

export async function settings(page, console) {
  await page.visit(console, "/topics/orders/settings");
  await page.fill("config-filter", "retention.ms");
  await page.click("edit-retention.ms");
  await page.fill("config-value", "-5");
  await page.click("config-submit");
  await page.has("INVALID_CONFIG");
  await page.fill("config-value", "3600000");
  await page.click("config-submit");
  await status(page, "retention.ms was changed.");
  await page.has("this topic");
  await page.visit(console, "/configs");
  await page.fill("config-filter", "log.cleaner.threads");
  await page.click("edit-log.cleaner.threads");
  await page.fill("config-value", "2");
  await page.click("config-submit");
  await status(page, "log.cleaner.threads was changed.");
  await page.has("this broker, changed while it ran");
  await page.has("the broker's start");
}

export async function security(page, console) {
  await page.visit(console, "/security");
  await page.has("SCRAM-SHA-256");
  await page.click("new-acl");
  await page.fill("acl-principal", "User:bob");
  await page.fill("acl-resource-name", "payments");
  await page.click("acl-submit");
  await status(page, "The ACL was created.");
  const row = await page.run(() => [...document.querySelectorAll("#acls tbody tr")].findIndex((it) => it.textContent.includes("User:bob")));
  await page.click(`acl-delete-${row}`);
  await page.click(`acl-delete-${row}-confirm`);
  await status(page, "The ACL was deleted.");
  assert.equal((await api(console, "GET", "/acls")).acls.length, 1);
  await page.click("new-quota");
  await page.fill("quota-type", "client-id");
  await page.fill("quota-value", "1000000");
  await page.click("quota-submit");
  await status(page, "The quota was changed.");
  await page.has("client-id (default)");
}

export async function trace(page, console) {
  await page.visit(console, "/trace");
  await page.fill("trace-api", "Produce");
  await page.fill("trace-topic", "payments");
  await page.click("trace-submit");
  await page.until("requests", () => document.querySelectorAll("#trace details").length > 2);
  await page.run(() => document.querySelector("#trace details").open = true);
  await page.has("payments", "trace");
  await page.fill("trace-api", "");
  await page.fill("trace-topic", "");
  await page.fill("trace-last", "1m");
  await page.click("trace-submit");
  await page.has("FETCH", "trace");
  await page.click("trace-stop");
  await status(page, "Stopped.");
}
