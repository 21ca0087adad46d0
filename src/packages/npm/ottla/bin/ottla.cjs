#!/usr/bin/env node
// Runs the program with the arguments of this command: `npx ottla`, `npx ottla kafka-topics --list`.
"use strict";

const { spawn } = require("node:child_process");
const os = require("node:os");
const { OttlaError, findBinary } = require("../index.cjs");

// Set for the program. If it is set here, the `ottla` on the PATH is a script that runs this command.
const MARK = "OTTLA_NPM_COMMAND";

try {
  if (process.env[MARK]) throw new OttlaError("the PATH has only the command of the npm package, without the program");
  run(findBinary());
} catch (error) {
  if (!(error instanceof OttlaError)) throw error;
  fail(error);
}

function run(binary) {
  const child = spawn(binary, process.argv.slice(2), {
    env: { ...process.env, [MARK]: "1" },
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    // A terminal sends SIGINT and SIGHUP to both; the program counts signals of one kind once.
    process.on(signal, () => child.kill(signal));
  }
  child.once("error", fail);
  child.once("exit", (code, signal) => process.exit(code ?? 128 + os.constants.signals[signal]));
}

function fail(error) {
  console.error(`ottla: ${error.message}`);
  process.exit(2);
}
