// The process of a broker, from its start to its end.
"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const { OttlaError } = require("./error.cjs");

const MAX_READY_LENGTH = 1 << 20;
/** How long the end may take after a SIGKILL. */
const END_MS = 5_000;
/** How long the rest of the log may take to arrive after the end: another process may hold the pipes. */
const REST_MS = 1_000;
/** How often a worker of a test runner looks whether the runner still runs. */
const RUNNER_CHECK_MS = 200;
/** Variables that test runners set for their workers. */
const WORKER_VARIABLES = ["JEST_WORKER_ID", "NODE_TEST_CONTEXT", "VITEST_POOL_ID"];
/** The lines of the log in an error's message. */
const QUOTED_LINES = 5;
/** The length of the output in an error's message. */
const MAX_QUOTED = 200;

class ServerProcess {
  #binary;
  #child;
  #lines;
  /** Resolves with the line that announces the broker. */
  #announced;
  /** Resolves when the process has ended and its log is complete; never rejects. */
  #closed;
  #end;

  constructor(binary, args, lines) {
    this.#binary = binary;
    this.#lines = lines;
    // Settings in this process's environment are for other brokers, and RUST_LOG is for other programs.
    const isPassedOn = (name) => !name.startsWith("KAFKA_") && name !== "RUST_LOG";
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => isPassedOn(name)));
    // The other end of stdin is held here: the broker stops when this process ends, whatever ends it. Detached, it does not
    // get the signals of a terminal, at which it would keep its data.
    const child = spawn(binary, args, { detached: true, env, stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    this.#announced = firstLine(child.stdout);
    child.stderr.on("data", (bytes) => lines.add(bytes));
    for (const stream of child.stdio) stream.on("error", () => {});
    this.#closed = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#end ??= `cannot run ${binary}: ${error.message}`;
        resolve(true);
      });
      child.once("exit", (code, signal) => {
        this.#end ??= signal ? `ottla was ended by ${signal}` : `ottla ended with exit code ${code}`;
        setTimeout(() => child.stdio.forEach((stream) => stream.destroy()), REST_MS).unref();
      });
      child.once("close", () => {
        lines.close();
        resolve(true);
      });
    });
    this.#endWithRunner();
    // A broker that nobody stops must not keep the test run alive.
    for (const handle of [child, ...child.stdio]) handle.unref?.();
  }

  get pid() {
    return this.#child.pid;
  }

  /** Why the process has ended, or undefined while it runs. */
  get end() {
    return this.#end;
  }

  /** Returns the announcement of the broker. A process that is not ready in time is killed. */
  async ready(timeout) {
    const line = await this.#before(timeout, this.#announced, this.#closed);
    if (this.#end !== undefined && typeof line !== "string") throw this.error(`${this.#binary} did not start: ${this.#end}`);
    const ready = typeof line === "string" ? parseReady(line) : undefined;
    if (ready) return ready;
    await this.kill();
    if (typeof line === "string") throw this.error(`${this.#binary} did not write a ready line, but ${line.slice(0, MAX_QUOTED)}`);
    throw this.error(`the broker did not start within ${timeout} ms`);
  }

  /** Stops the process as the end of this one would: it removes its data. */
  async stop(timeout) {
    this.#child.stdin.destroy();
    if (!(await this.#wait(timeout / 2))) await this.terminate(timeout / 2);
  }

  /** Stops the process with SIGTERM, at which it keeps its data while stdin is open; kills it if it does not end in time. */
  async terminate(timeout) {
    // Says that this process does not end as well, for which the broker would wait.
    if (this.#child.stdin?.writable) this.#child.stdin.write("keep\n");
    this.#signal("SIGTERM");
    if (!(await this.#wait(timeout))) await this.kill();
  }

  async kill() {
    this.#killGroup();
    if (!(await this.#wait(END_MS))) throw this.error(`process ${this.pid} does not end after SIGKILL`);
  }

  /** Returns an error that quotes the end of the log. */
  error(message, more) {
    const logLines = this.#lines.all();
    return new OttlaError([message, ...logLines.slice(-QUOTED_LINES)].join("\n"), { ...more, logLines });
  }

  /** Ends the broker when a killed test runner has left this worker behind, which would still run for a while. */
  #endWithRunner() {
    if (!WORKER_VARIABLES.some((name) => name in process.env)) return;
    const runner = parent();
    const timer = setInterval(() => {
      if (parent() !== runner) this.#child.stdin.destroy();
    }, RUNNER_CHECK_MS);
    timer.unref();
    void this.#closed.then(() => clearInterval(timer));
  }

  /** Kills the process and what it has started, which may hold its pipes. */
  #killGroup() {
    if (this.#end !== undefined || this.pid === undefined) return;
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      this.#signal("SIGKILL");
    }
  }

  #signal(signal) {
    if (this.#end === undefined) this.#child.kill(signal);
  }

  /** Waits until the process has ended; false if it has not in time. */
  #wait(timeout) {
    return this.#before(timeout, this.#closed);
  }

  /** Returns the result of the first of these promises; false if there is none in time. */
  async #before(timeout, ...promises) {
    const timer = new AbortController();
    const late = sleep(timeout, false, { signal: timer.signal }).catch(() => false);
    try {
      return await Promise.race([...promises, late]);
    } finally {
      timer.abort();
    }
  }
}

/** Returns the content of a ready line; undefined if it is of another program. */
function parseReady(line) {
  try {
    const ready = JSON.parse(line);
    return typeof ready?.bootstrap_servers === "string" ? ready : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the id of this process's parent. In jest, `process.ppid` is always the first one. */
function parent() {
  try {
    // After the name, which can contain anything, and the state.
    return fs.readFileSync("/proc/self/stat", "utf8").split(") ").at(-1).split(" ")[1];
  } catch {
    return process.ppid;
  }
}

/** Returns a promise of the first line; it stays open if there is none. What follows is read and dropped. */
function firstLine(stream) {
  let text = "";
  stream.setEncoding("utf8");
  return new Promise((resolve) => {
    stream.on("data", (piece) => {
      if (text.length > MAX_READY_LENGTH) return;
      text += piece;
      const end = text.indexOf("\n");
      if (end < 0) return;
      resolve(text.slice(0, end));
      text = "";
    });
  });
}

module.exports = { ServerProcess };
