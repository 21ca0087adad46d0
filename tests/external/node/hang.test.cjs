// Starts a broker, writes its directory into a file and runs until it is killed; in vitest, jest and node:test.
"use strict";

const { appendFileSync } = require("node:fs");
const { Broker } = require("ottla");

const run = globalThis.test ?? require("node:test").test;
const TIMEOUT_MS = 60_000;

run("hangs", async () => {
  const broker = await Broker.start();
  appendFileSync("directories", `${broker.dataDir}\n`);
  await new Promise((resolve) => setTimeout(resolve, TIMEOUT_MS));
}, TIMEOUT_MS);
