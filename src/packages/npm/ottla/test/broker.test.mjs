// The tests of this package: `OTTLA_BINARY=… node --test test/`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { Broker, OttlaError, findBinary } from "../index.mjs";

const require = createRequire(import.meta.url);
const run = promisify(execFile);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "test-of-ottla-"));
after(() => fs.rmSync(directory, { recursive: true }));

/** Runs a command of the program at the broker. */
async function ottla(broker, ...args) {
  return (await run(findBinary(), [args[0], "-b", broker.bootstrapServers, ...args.slice(1)])).stdout;
}

const topics = async (broker) => (await ottla(broker, "topics", "list")).trim();

async function partitions(broker, topic) {
  const lines = (await ottla(broker, "topics", "describe", topic)).split("\n");
  return lines.filter((line) => /^ *\d+ /.test(line)).length;
}

const records = (broker, topic) => ottla(broker, "consume", topic, "--from-beginning", "--until-end");

/** Asserts that nothing of this broker remains. */
function assertNothingLeft(dataDir) {
  const left = fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith(path.basename(dataDir)));
  assert.deepEqual(left, []);
}

function script(name, text) {
  const file = path.join(directory, name);
  fs.writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return file;
}

test("a broker starts with its topics and settings, and leaves nothing behind", async () => {
  const broker = await Broker.start({ topics: { orders: 3 }, settings: { "num.partitions": 2 }, logLevel: "debug" });
  assert.match(broker.bootstrapServers, /^localhost:\d+$/);
  assert.deepEqual(Object.keys(broker.listeners), ["PLAINTEXT"]);
  assert.match(await topics(broker), /orders/);
  assert.match(await ottla(broker, "produce", "new", "a value"), /1 record/);
  assert.equal(await partitions(broker, "new"), 2);
  assert.ok(broker.running && fs.existsSync(broker.dataDir));
  await Promise.all([broker.stop(), broker[Symbol.asyncDispose]()]);
  assert.ok(!broker.running);
  assert.match(broker.logLines.at(-1), /stopped$/);
  assertNothingLeft(broker.dataDir);
});

test("a reset removes topics and records, and creates the topics of the start again", async () => {
  const broker = await Broker.start({ topics: ["orders:3", "tables:1:1:compact"] });
  await ottla(broker, "produce", "orders", "a book");
  await ottla(broker, "produce", "other", "a pen");
  await broker.reset();
  assert.equal(await records(broker, "orders"), "");
  assert.equal(await partitions(broker, "orders"), 3);
  assert.match(await topics(broker), /tables/);
  assert.doesNotMatch(await topics(broker), /other/);
  await broker.stop();
});

test("a created topic has its partitions and settings; another with its name is refused with Kafka's error", async () => {
  const broker = await Broker.start();
  await broker.createTopic("orders", { partitions: 3, configs: { "retention.ms": 1000, "cleanup.policy": "compact" } });
  await broker.createTopic("one");
  await assert.rejects(broker.createTopic("three", 3), { name: "TypeError", message: /the topic options must be an object/ });
  assert.equal(await partitions(broker, "orders"), 3);
  assert.match(await ottla(broker, "topics", "describe", "orders"), /retention\.ms=1000/);
  assert.equal(await partitions(broker, "one"), 1);
  const refused = { name: "OttlaError", code: "TOPIC_ALREADY_EXISTS", message: /orders/ };
  await assert.rejects(broker.createTopic("orders"), refused);
  await broker.stop();
});

test("more requests than the admin port has connections are all answered", async () => {
  const broker = await Broker.start();
  const refused = Array.from({ length: 400 }, () => broker.createTopic("a/b").catch((error) => error.code));
  assert.deepEqual([...new Set(await Promise.all(refused))], ["INVALID_TOPIC_EXCEPTION"]);
  await broker.stop();
});

test("a schema registry keeps its URL in a restart, and is emptied by a reset", async () => {
  const broker = await Broker.start({ schemaRegistry: true });
  const url = broker.schemaRegistryUrl;
  const subjects = async () => (await fetch(`${url}/subjects`)).json();
  const body = JSON.stringify({ schema: '"int"' });
  const headers = { "Content-Type": "application/vnd.schemaregistry.v1+json" };
  assert.equal((await fetch(`${url}/subjects/s/versions`, { method: "POST", headers, body })).status, 200);
  await broker.restart();
  assert.equal(broker.schemaRegistryUrl, url);
  assert.deepEqual(await subjects(), ["s"]);
  await broker.reset();
  assert.deepEqual(await subjects(), []);
  await broker.stop();
});

for (const end of ["stop", "kill"]) {
  test(`a restart after a ${end} keeps addresses and records`, async () => {
    const broker = await Broker.start({ secure: true, users: { ann: "secret" }, topics: { orders: 1 } });
    await ottla(broker, "produce", "orders", "a book");
    const { adminUrl, bootstrapServers, ca, dataDir, listeners, pid } = broker;
    assert.deepEqual(Object.keys(listeners).sort(), ["PLAINTEXT", "SASL_SSL", "SSL"]);
    const certificate = fs.readFileSync(ca, "utf8");
    if (end === "kill") {
      await broker.kill();
      await assert.rejects(broker.reset(), /the broker does not run: ottla was ended by SIGKILL/);
    }
    await broker.restart();
    assert.deepEqual([broker.adminUrl, broker.bootstrapServers], [adminUrl, bootstrapServers]);
    assert.deepEqual(broker.listeners, listeners);
    assert.notEqual(broker.pid, pid);
    assert.match(await records(broker, "orders"), /a book/);
    assert.equal(fs.readFileSync(broker.ca, "utf8"), certificate);
    assert.ok(broker.secureDir.startsWith(broker.dataDir));
    await broker.kill();
    await broker.stop();
    assertNothingLeft(dataDir);
  });
}

test("a broker that cannot start reports its own line", async () => {
  await assert.rejects(Broker.start({ settings: { "num.partitions": "many" } }), (error) => {
    assert.ok(error instanceof OttlaError && error instanceof require("ottla").OttlaError);
    assert.match(error.message, /exit code 2\nottla: Invalid value many for configuration num\.partitions/);
    assert.equal(error.logLines.length, 1);
    return true;
  });
});

test("arguments that no process can have, unknown options and users with a colon are an error", async () => {
  await assert.rejects(Broker.start({ topic: "orders" }), { name: "TypeError", message: /unknown option topic; there are topics/ });
  await assert.rejects(Broker.start({ users: { "a:b": "c" } }), { name: "TypeError", message: /"a:b"/ });
  for (const options of [{ topics: new Map([["a", 1]]) }, { topics: [{ a: 1 }] }, { users: ["ann"] }, { settings: ["a=b"] }, "orders"]) {
    await assert.rejects(Broker.start(options), { name: "TypeError", message: /such as/ });
  }
  await assert.rejects(Broker.start({ args: ["a\0b"] }), { code: "ERR_INVALID_ARG_VALUE" });
});

test("a broker that is not ready in time is killed", async () => {
  const binary = script("slow", "echo one >&2; printf two >&2; exec sleep 60");
  const start = Broker.start({ binary, startTimeout: 500 });
  await assert.rejects(start, /did not start within 500 ms\none\ntwo$/);
});

test("a program whose child holds its pipes does not delay the error", async () => {
  const begin = Date.now();
  const slow = script("parent", "sleep 60; exit");
  await assert.rejects(Broker.start({ binary: slow, startTimeout: 200 }), /did not start within 200 ms$/);
  const ended = script("ended", "sleep 7 & exit 3");
  await assert.rejects(Broker.start({ binary: ended }), /did not start: ottla ended with exit code 3$/);
  assert.ok(Date.now() - begin < 5_000);
});

test("a program that is another one is an error with what it wrote", async () => {
  const binary = script("other", "echo one >&2; echo hello; exec sleep 60");
  const message = `${binary} did not write a ready line, but hello\none`;
  await assert.rejects(Broker.start({ binary }), { name: "OttlaError", message });
  const started = Broker.start({ binary: script("ends", "echo one >&2") });
  await assert.rejects(started, { name: "OttlaError", message: /ends did not start: ottla ended with exit code 0\none$/ });
});

test("a process that ignores SIGTERM is killed after the bound", async () => {
  const text = `trap "" TERM; echo '{"bootstrap_servers":"a:1"}'; exec sleep 60`;
  const broker = await Broker.start({ binary: script("deaf", text), stopTimeout: 200 });
  const started = performance.now();
  await broker.stop();
  assert.ok(performance.now() - started < 30_000 && !broker.running);
});

test("settings of other brokers in the environment have no effect", async () => {
  Object.assign(process.env, { KAFKA_NUM_PARTITIONS: "none", RUST_LOG: "off" });
  try {
    const broker = await Broker.start({ topics: ["-a"] });
    assert.match(await topics(broker), /-a/);
    await assert.rejects(broker.createTopic("b", { partition: 1 }), { name: "TypeError", message: /partition; there are partitions/ });
    await broker.stop();
    assert.notDeepEqual(broker.logLines, []);
  } finally {
    delete process.env.KAFKA_NUM_PARTITIONS;
    delete process.env.RUST_LOG;
  }
});

/** Runs a program that prints a broker's directory, and asserts that nothing remains after its end. */
async function assertLeavesNothing(program) {
  const options = { cwd: path.dirname(require.resolve("ottla/package.json")) };
  const ended = await run(process.execPath, ["-e", program], options).catch((error) => error);
  const dataDir = ended.stdout.trim();
  assert.match(dataDir, /ottla-/);
  for (let tries = 0; fs.existsSync(dataDir) && tries < 3000; tries += 1) await new Promise((r) => setTimeout(r, 10));
  assertNothingLeft(dataDir);
  return ended;
}

test("a broker that nobody stops does not keep its process alive, and ends with it", async () => {
  const ended = await assertLeavesNothing(`require("ottla").Broker.start().then((broker) => console.log(broker.dataDir))`);
  assert.equal(ended.signal, undefined);
});

test("a process that is killed leaves no broker and no directory, whether or not the broker runs", async () => {
  for (const before of ["", "await broker.kill();", 'process.kill(broker.pid, "SIGTERM");']) {
    const ended = await assertLeavesNothing(`require("ottla").Broker.start().then(async (broker) => {
      ${before}
      require("node:fs").writeSync(1, broker.dataDir);
      process.kill(process.pid, "SIGKILL");
    })`);
    assert.equal(ended.signal, "SIGKILL");
  }
});

test("a restart keeps the hosts and ports of given listeners", async () => {
  const settings = {
    listeners: "OUTSIDE://127.0.0.1:0,INSIDE://:0",
    "listener.security.protocol.map": "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
    "ottla.admin.listener": "127.0.0.1:0",
    "ottla.registry.listener": "127.0.0.1:0",
  };
  const broker = await Broker.start({ settings, schemaRegistry: true });
  const { adminUrl, bootstrapServers, listeners, schemaRegistryUrl } = broker;
  assert.equal(bootstrapServers, listeners.OUTSIDE);
  await broker.restart();
  assert.deepEqual([broker.adminUrl, broker.bootstrapServers, broker.listeners], [adminUrl, bootstrapServers, listeners]);
  assert.match(schemaRegistryUrl, /:[1-9]\d*$/);
  assert.equal(broker.schemaRegistryUrl, schemaRegistryUrl);
  await broker.stop();
});

test("the program is the given one, else that of OTTLA_BINARY, else that of the package, else that of the PATH", () => {
  const before = { ...process.env };
  const [given, named, onPath] = ["given", "named", "ottla"].map((name) => script(name, ""));
  const modules = path.join(directory, "node_modules");
  fs.cpSync(path.dirname(require.resolve("ottla/package.json")), path.join(modules, "ottla"), { recursive: true });
  const { findBinary } = require(path.join(modules, "ottla"));
  try {
    Object.assign(process.env, { OTTLA_BINARY: named, PATH: `/nowhere:${directory}` });
    assert.equal(findBinary(given), given);
    assert.equal(findBinary(), named);
    const message = "the given binary, /nowhere/ottla, is not an executable file";
    assert.throws(() => findBinary("/nowhere/ottla"), { message });
    delete process.env.OTTLA_BINARY;
    assert.equal(findBinary(), onPath);
    process.env.PATH = path.join(modules, ".bin");
    fs.cpSync(directory + "/ottla", path.join(modules, ".bin/ottla"));
    const tried = /no binary was given, OTTLA_BINARY is not set, the package @ottla\/\S+ is not installed/;
    assert.throws(() => findBinary(), tried);
    const platform = path.join(modules, `@ottla/${process.platform}-${process.arch}`);
    fs.mkdirSync(path.join(platform, "bin"), { recursive: true });
    fs.writeFileSync(path.join(platform, "package.json"), "{}");
    assert.throws(() => findBinary(), /has no executable file/);
    fs.copyFileSync(onPath, path.join(platform, "bin/ottla"));
    assert.equal(fs.realpathSync(findBinary()), fs.realpathSync(path.join(platform, "bin/ottla")));
  } finally {
    delete process.env.OTTLA_BINARY;
    Object.assign(process.env, before);
  }
});

test("the command of the package runs the program, with its exit code", async () => {
  const command = path.join(path.dirname(require.resolve("ottla/package.json")), "bin/ottla.cjs");
  assert.match((await run(process.execPath, [command, "--version"])).stdout, /^ottla /);
  await assert.rejects(run(process.execPath, [command, "--no-such-flag"]), { code: 2 });
});

test("many brokers, eight at a time, leave no descriptor", async () => {
  const descriptors = () => fs.readdirSync("/proc/self/fd").length;
  const one = async () => (await Broker.start()).stop();
  await one();
  const before = descriptors();
  const count = Number(process.env.OTTLA_MANY_BROKERS ?? 16);
  const several = async () => {
    for (let done = 0; done < count / 8; done += 1) await one();
  };
  await Promise.all(Array.from({ length: 8 }, several));
  // Node closes the pipes of a process a moment after its end.
  for (let tries = 0; descriptors() > before + 2 && tries < 3000; tries += 1) await new Promise((r) => setTimeout(r, 10));
  assert.ok(descriptors() <= before + 2, `${descriptors()} descriptors, ${before} before`);
});
