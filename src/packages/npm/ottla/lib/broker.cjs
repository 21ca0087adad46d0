// A broker: its options as arguments of the program, and its state over several processes.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs/promises");
const os = require("node:os");
const path = require("node:path");
const { post } = require("./admin.cjs");
const { findBinary } = require("./binary.cjs");
const { LogLines } = require("./log_lines.cjs");
const { ServerProcess } = require("./server_process.cjs");

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
// Node 18 has it from 18.18 on; compilers use the same symbol before that.
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

class Broker {
  #options;
  #binary;
  #directory;
  #lines = new LogLines();
  #process;
  #ready;
  /** The end of the last call that changes the process: such calls run one after the other. */
  #last = Promise.resolve();

  static async start(options = {}) {
    const broker = new Broker(options);
    await broker.#start();
    return broker;
  }

  constructor(options) {
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

  async createTopic(name, { partitions, configs = {} } = {}) {
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
      await this.#process.stop(this.#options.stopTimeout ?? STOP_TIMEOUT_MS);
      await this.#start();
    });
  }

  async [ASYNC_DISPOSE]() {
    await this.stop();
  }

  async #start() {
    const args = serveArguments(this.#options, this.#directory, this.#ready);
    this.#process = new ServerProcess(this.#binary, args, this.#lines);
    try {
      this.#ready = await this.#process.ready(this.#options.startTimeout ?? START_TIMEOUT_MS);
    } catch (error) {
      await this.#removeData();
      throw error;
    }
  }

  async #stop() {
    await this.#process.stop(this.#options.stopTimeout ?? STOP_TIMEOUT_MS);
    await this.#removeData();
  }

  /** Removes the data: a broker that a signal has ended keeps it. */
  async #removeData() {
    await fs.rm(this.#directory, { recursive: true, force: true });
  }

  async #post(action, body) {
    const gone = () => this.#process.error(`${action}: the broker does not run: ${this.#process.end}`);
    if (!this.running) throw gone();
    let result;
    try {
      result = await post(`${this.adminUrl}/${action}`, body);
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

/** Returns the arguments of the program. After the first start, `before` is the announcement of the last process. */
function serveArguments(options, directory, before) {
  const { topics = {}, settings = {}, users = {} } = options;
  const names = Array.isArray(topics) ? topics : Object.entries(topics).map(([name, count]) => `${name}:${count}`);
  return [
    ...["--exit-with-parent", "--ready-file", "-", "--ephemeral", "--data-dir", directory],
    ...names.flatMap((name) => ["--create-topic", name]),
    ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
    ...(options.secure ? ["--secure"] : []),
    ...Object.entries(users).flatMap(([name, password]) => ["--user", `${name}:${password}`]),
    ...(options.logLevel ? ["--log-level", options.logLevel] : []),
    ...ports(before, "listeners" in settings),
    ...(options.args ?? []),
  ];
}

/** Returns the arguments for free ports, or for the same ports as before. */
function ports(before, hasListeners) {
  if (!before) return ["--port", "0", "--admin-port", "0"];
  const port = (address) => address.slice(address.lastIndexOf(":") + 1);
  const first = before.bootstrap_servers;
  const args = ["--port", port(first), "--admin-port", port(before.admin_url)];
  const listeners = Object.entries(before.listeners);
  if (listeners.length === 1 || hasListeners) return args;
  // The first one is that of the bootstrap servers.
  listeners.sort(([, one], [, other]) => (other === first) - (one === first));
  return [...args, "--set", `listeners=${listeners.map(([name, address]) => `${name}://:${port(address)}`).join(",")}`];
}

module.exports = { Broker };
