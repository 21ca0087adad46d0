// The steps of the test of the console in Chromium. tests/external/browser.rs starts the broker and its clients.

import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { attack } from "./attacks.mjs";
import { launch } from "./chromium.mjs";
import * as flows from "./flows.mjs";
import { api, prepare } from "./data.mjs";

const { CONSOLE, GUARDED_CONSOLE, CHROMIUM, AXE, BROKER_PID, PICTURES } = process.env;
const MAX_TIME = 300_000;
const MAX_PICTURE = 150_000;
/** The width of a small telephone. */
const TELEPHONE = 375;

/** Pages, and a text that each has when it is complete. */
const PAGES = [
  ["/", "Log directories"],
  ["/topics", "payments"],
  ["/topics/big", "Records in"],
  ["/topics/orders/records", "\"name\":\"Ann\""],
  ["/topics/big/produce", "Headers"],
  ["/topics/orders/settings", "retention.ms"],
  ["/groups", "billing"],
  ["/groups/billing", "Lag in offsets over"],
  ["/schemas", "orders-value"],
  ["/schemas/orders-value", "customer"],
  ["/transactions", "payments-1"],
  ["/client-metrics", "pushed metrics lately"],
  ["/security", "User:ann"],
  ["/configs", "log.retention.hours"],
  ["/trace", "What clients say"],
  ["/log", "listening on"],
  ["/nothing", "There is no such page"],
];

async function step(name, action) {
  const started = Date.now();
  const result = await action();
  console.log(`${name}: ${Date.now() - started} ms${result ? `, ${result}` : ""}`);
}

/** Serious and critical findings of axe-core, of one rule or all. */
async function findings(page, rule = "") {
  await page.run(readFileSync(AXE, "utf8"));
  return page.run(async (only) => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"], ...only && { runOnly: [only] } });
    return violations.filter((it) => it.impact === "serious" || it.impact === "critical")
      .map((it) => `${it.id}: ${it.nodes.map((node) => node.target.join(" ")).slice(0, 5).join(", ")}`);
  }, rule);
}

async function accessible(page, where, rule) {
  const found = await findings(page, rule);
  assert.deepEqual(found, [], `axe-core at ${where}`);
}

/** The checks find what they are for. */
async function checksWork(page) {
  await page.visit(CONSOLE, "/log");
  await page.has("listening on");
  await page.run(() => {
    const image = document.createElement("img");
    image.src = "https://elsewhere.test/picture.png";
    document.getElementById("main").append(image);
  });
  assert.deepEqual((await findings(page)).map((it) => it.split(":")[0]), ["image-alt"]);
  assert.ok(page.problems.some((it) => it.startsWith("violation of the policy: img-src")), page.problems.join());
  page.problems.length = 0;
}

async function everyPage(page) {
  for (const [address, text] of PAGES) {
    await page.scheme("light");
    await page.visit(CONSOLE, address);
    await page.has(text);
    if (address === "/groups/billing") await page.has("Longest lag in time over");
    const background = () => getComputedStyle(document.body).backgroundColor;
    const light = await page.run(background);
    await accessible(page, address);
    await page.scheme("dark");
    assert.notEqual(await page.run(background), light, `the dark colours of ${address}`);
    await accessible(page, `${address}, dark`, "color-contrast");
    await page.viewport(TELEPHONE, 700, true);
    const width = await page.run(() => document.documentElement.scrollWidth);
    assert.ok(width <= TELEPHONE, `${address} scrolls sideways on a telephone: ${width}`);
    await page.viewport(1280, 800);
  }
  await page.scheme("light");
}

async function pictures(page) {
  await page.send("Page.bringToFront");
  for (const [name, address, text, scheme, ready] of [
    ["records", "/topics/orders/records", "\"name\":\"Ann\"", "light", async () => {
      document.getElementById("records-jq").value = ".customer.name == \"Bob\"";
      document.getElementById("records-submit").click();
      for (; !document.getElementById("record-1-3") || document.querySelectorAll("#records details").length > 10;) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      document.querySelector("#records details").open = true;
    }],
    ["group", "/groups/shipping", "Lag in offsets over", "light"],
    ["schemas", "/schemas/orders-value", "customer", "light"],
    ["topics", "/topics", "payments", "dark"],
  ]) {
    await page.viewport(1100, 720);
    await page.scheme(scheme);
    await page.visit(CONSOLE, address);
    await page.has(text);
    if (ready) await page.run(ready);
    // Rates and curves need several samples. Meanwhile the group makes progress.
    for (const value of name === "group" ? [60_000, 90_000, 40_000, 70_000] : [0]) {
      await api(CONSOLE, "POST", "/groups/shipping/offsets", { to: "shift", value, dry_run: false });
      await new Promise((resolve) => setTimeout(resolve, 2200));
    }
    const path = join(PICTURES, `console-${name}.png`);
    await page.picture(path);
    assert.ok(statSync(path).size < MAX_PICTURE, `the size of ${path}`);
  }
}

async function guarded(page) {
  await page.open(GUARDED_CONSOLE);
  await page.element("token");
  await accessible(page, "the form for the token");
  await page.fill("token", "wrong");
  await page.click("token-submit");
  await page.has("The token is not accepted");
  await page.fill("token", "s3cret");
  await page.click("token-submit");
  await page.has("Log directories");
  await page.run(() => sessionStorage.clear());
  await page.open("about:blank");
  await page.open(`${GUARDED_CONSOLE}#token=s3cret`);
  await page.has("Log directories");
  assert.equal(await page.run(() => location.hash), "#/", "the token is not in the address");
}

const timer = setTimeout(() => { console.error("the steps took too long"); process.exit(1); }, MAX_TIME);
const browser = await launch(CHROMIUM);
try {
  const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${BROKER_PID}/status`, "utf8"))[1]) * 1024;
  const page = await browser.open();
  await step("checks", () => checksWork(page));
  await step("data", () => prepare(CONSOLE));
  await step("records of a topic with a million", () => flows.million(page, CONSOLE, memory));
  await step("records with schemas", () => flows.schemaRecords(page, CONSOLE));
  await step("records with HTML", () => flows.hostileRecords(page, CONSOLE));
  await step("keyboard", () => flows.keyboard(page, CONSOLE));
  await step("focus", () => flows.focusStays(page, CONSOLE));
  await step("producing", () => flows.produce(page, CONSOLE));
  await step("reset of offsets", () => flows.reset(page, CONSOLE));
  await step("schemas", () => flows.schemas(page, CONSOLE));
  await step("settings", () => flows.settings(page, CONSOLE));
  await step("ACLs and quotas", () => flows.security(page, CONSOLE));
  await step("trace", () => flows.trace(page, CONSOLE));
  await step("every page", () => everyPage(page));
  await step("token", () => guarded(page));
  assert.deepEqual(page.problems, [], "problems in the pages");
  await step("attacks", async () => attack(await browser.open(), CONSOLE));
  if (PICTURES) await step("pictures", () => pictures(page));
} finally {
  await browser.close();
  clearTimeout(timer);
}
