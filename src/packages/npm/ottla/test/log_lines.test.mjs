import assert from "node:assert/strict";
import { test } from "node:test";
import lines from "../lib/log_lines.cjs";

const text = (log) => log.all();

test("lines that arrive in pieces are put together", () => {
  const log = new lines.LogLines();
  for (const byte of Buffer.from("größe\n\nlast")) log.add(Buffer.from([byte]));
  assert.deepEqual(text(log), ["größe", ""]);
  log.close();
  assert.deepEqual(text(log), ["größe", "", "last"]);
});

test("the last lines are kept, and the beginning of long ones", () => {
  const log = new lines.LogLines();
  for (let number = 0; number < 25_000; number += 1) log.add(Buffer.from(`${number}\n`));
  assert.deepEqual([text(log).length, text(log)[0], text(log).at(-1)], [10_000, "15000", "24999"]);
  for (let piece = 0; piece < 100; piece += 1) log.add(Buffer.alloc(1000, "a"));
  log.add(Buffer.from("\n"));
  assert.equal(text(log).at(-1).length, 16_384);
});
