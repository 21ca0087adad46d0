// A broker: its options as arguments of the program, and its state over several processes.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs/promises");
const os = require("node:os");
const path = require("node:path");
const { AdminPort } = require("./admin.cjs");
const { findBinary } = require("./binary.cjs");
const { LogLines } = require("./log_lines.cjs");
const { Remover } = require("./remover.cjs");
const { ServerProcess } = require("./server_process.cjs");

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const OPTIONS = "topics settings secure schemaRegistry users logLevel binary args startTimeout stopTimeout".split(" ");
const TOPIC_OPTIONS = ["partitions", "configs"];
// Node 18 has it from 18.18 on; compilers use the same symbol before that.
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

class Broker {
  #options;
  #binary;
  #directory;
  /** Removes the directory of the last process that was started. */
  #remover;
  #lines = new LogLines();
  #admin = new AdminPort();
  #process;
  #ready;
  /** The end of the last call that changes the process: such calls run one after the other. */
  #last = Promise.resolve();

  static async start(options = {}) {
    const broker = new Broker(options);
    try {
      await broker.#start();
    } catch (error) {
      await broker.#stop();
      throw error;
    }
    return broker;
  }

  constructor(options) {
    checkNames("option", options, OPTIONS);
    const { topics = {}, settings = {}, users = {} } = options;
    if (!Array.isArray(topics)) checkObject("topics", topics);
    else if (!topics.every((topic) => typeof topic === "string")) throw new TypeError('a topic is a text, such as "orders:3"');
    checkObject("settings", settings);
    checkObject("users", users);
    for (const user of Object.keys(users)) {
      if (user.includes(":")) throw new TypeError(`the name "${user}" of a user has a colon, which separates names from passwords`);
    }
    this.#options = options;
    this.#binary = findBinary(options.binary);
    // The broker creates it. Nobody else can guess the name.
    this.#directory = path.join(os.tmpdir(), `ottla-${crypto.randomBytes(12).toString("hex")}`);
  }

  get bootstrapServers() {
    return this.#ready.bootstrap_servers;
  }

  get listeners() {
    return this.#ready.listeners;
  }

  get adminUrl() {
    return this.#ready.admin_url;
  }

  get schemaRegistryUrl() {
    return this.#ready.schema_registry_url;
  }

  get ca() {
    return this.#ready.ca;
  }

  get secureDir() {
    return this.#ready.secure_dir;
  }

  get dataDir() {
    return this.#ready.data_dir;
  }

  get pid() {
    return this.#process.pid;
  }

  get running() {
    return this.#process.end === undefined;
  }

  get logLines() {
    return this.#lines.all();
  }

  async reset() {
    await this.#post("reset");
  }

  async createTopic(name, topic = {}) {
    checkNames("topic option", topic, TOPIC_OPTIONS);
    const { partitions, configs = {} } = topic;
    const texts = Object.fromEntries(Object.entries(configs).map(([key, value]) => [key, String(value)]));
    await this.#post("topics", { name, partitions, configs: texts });
  }

  stop() {
    return this.#inTurn(() => this.#stop());
  }

  kill() {
    return this.#inTurn(() => this.#process.kill());
  }

  restart() {
    return this.#inTurn(async () => {
      await this.#process.terminate(this.#options.stopTimeout ?? STOP_TIMEOUT_MS);
      await this.#start();
    });
  }

  async [ASYNC_DISPOSE]() {
    await this.stop();
  }

  async #start() {
    this.#process = new ServerProcess(this.#binary, serveArguments(this.#options, this.#directory, this.#ready), this.#lines);
    const before = this.#remover;
    // A program that cannot be run has no id.
    this.#remover = this.#process.pid && new Remover(this.#directory, this.#process.pid);
    before?.release();
    this.#ready = await this.#process.ready(this.#options.startTimeout ?? START_TIMEOUT_MS);
  }

  async #stop() {
    await this.#process?.stop(this.#options.stopTimeout ?? STOP_TIMEOUT_MS);
    // A broker that was killed has not removed it.
    await fs.rm(this.#directory, { recursive: true, force: true });
    this.#remover?.release();
    this.#remover = undefined;
  }

  async #post(action, body) {
    const gone = () => this.#process.error(`${action}: the broker does not run: ${this.#process.end}`);
    if (!this.running) throw gone();
    let result;
    try {
      result = await this.#admin.post(`${this.adminUrl}/${action}`, body, this.#options.settings?.["ottla.admin.token"]);
    } catch (cause) {
      throw this.running ? this.#process.error(`${action}: ${cause.message}`, { cause }) : gone();
    }
    const { status, answer } = result;
    if (status === 200) return;
    const why = [answer.error, answer.message].filter(Boolean).join(": ");
    // Only Kafka's errors have a message beside their name.
    const code = answer.message === undefined ? undefined : answer.error;
    throw this.#process.error(`${action}: ${why || `HTTP status ${status}`}`, { code });
  }

  #inTurn(action) {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

/** Throws if a value is not an object with names, but a list, a Map, a number or the like. */
function checkObject(name, given) {
  const isObject = typeof given === "object" && given !== null && !(Symbol.iterator in given);
  if (!isObject) throw new TypeError(`${name} must be an object with names and values, such as { name: value }`);
}

/** Throws if an object has names other than the known ones. */
function checkNames(kind, given, known) {
  checkObject(`the ${kind}s`, given);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`unknown ${kind} ${unknown}; there are ${known.join(", ")}`);
}

/** Returns the arguments of the program. After the first start, `before` is the announcement of the last process. */
function serveArguments(options, directory, before) {
  const { topics = {}, users = {} } = options;
  const names = Array.isArray(topics) ? topics : Object.entries(topics).map(([name, count]) => `${name}:${count}`);
  const settings = { ...options.settings };
  // The same ports as before, or free ones.
  const several = before && Object.keys(before.listeners).length > 1;
  if (before && (several || "listeners" in settings)) settings.listeners = bound(settings.listeners ?? "", before);
  for (const [name, url] of [["ottla.admin.listener", before?.admin_url], ["ottla.registry.listener", before?.schema_registry_url]]) {
    if (url && name in settings) settings[name] = withPort(String(settings[name]), port(url));
  }
  return [
    ...["--exit-with-parent", "--ready-file", "-", "--ephemeral", "--data-dir", directory],
    ...(options.schemaRegistry && !("ottla.registry.listener" in settings) ? ["--registry-port", port(before?.schema_registry_url)] : []),
    ...("listeners" in settings ? [] : ["--port", port(before?.bootstrap_servers)]),
    ...("ottla.admin.listener" in settings ? [] : ["--admin-port", port(before?.admin_url)]),
    // Values may begin with a hyphen, so they are not arguments of their own.
    ...names.map((name) => `--create-topic=${name}`),
    ...Object.entries(settings).map(([name, value]) => `--set=${name}=${value}`),
    ...(options.secure ? ["--secure"] : []),
    ...Object.entries(users).map(([name, password]) => `--user=${name}:${password}`),
    ...(options.logLevel ? [`--log-level=${options.logLevel}`] : []),
    ...(options.args ?? []),
  ];
}

/** Returns a value of `listeners` with the hosts of the given one, and with the ports of the last process. */
function bound(given, { bootstrap_servers: first, listeners }) {
  const entries = String(given).split(",").map((entry) => entry.trim().split("://"));
  const host = (address = "") => address.slice(0, Math.max(address.lastIndexOf(":"), 0));
  const hosts = new Map(entries.map(([name, address]) => [name.toUpperCase(), host(address)]));
  // The bootstrap servers are the first listener.
  const sorted = Object.entries(listeners).sort(([, one], [, other]) => (other === first) - (one === first));
  return sorted.map(([name, address]) => `${name}://${hosts.get(name) ?? ""}:${port(address)}`).join(",");
}

/** Returns an address or a port alone with another port. */
function withPort(address, port) {
  return address.slice(0, address.lastIndexOf(":") + 1) + port;
}

/** Returns the port of an address; 0, which stands for a free one, if there is no address. */
function port(address = ":0") {
  return address.slice(address.lastIndexOf(":") + 1);
}

module.exports = { Broker };
