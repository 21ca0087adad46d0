// Pages of other origins, which can read and change nothing.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";

import { api } from "./data.mjs";

/** What a page tries; each entry ends with what it could read or `refused`. */
const ATTEMPTS = async (origin) => {
  const attempt = (action) => action().catch(() => "refused");
  const json = { "Content-Type": "application/json", "X-Ottla-Admin": "1" };
  const body = JSON.stringify({ name: "stolen" });
  const framed = new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.src = `${origin}/console/`;
    frame.onload = resolve;
    document.body.append(frame);
  });
  const loaded = (name, address) => new Promise((resolve) => {
    const element = document.createElement(name);
    element.onload = () => resolve("loaded");
    element.onerror = () => resolve("refused");
    element.src = address;
    document.body.append(element);
  });
  const form = document.createElement("form");
  form.method = "post";
  form.enctype = "text/plain";
  form.target = "elsewhere";
  form.action = `${origin}/api/v1/topics`;
  const field = document.createElement("input");
  field.name = "{\"name\": \"stolen\", \"configs\": {\"a\": \"";
  field.value = "\"}}";
  form.append(field);
  document.body.append(form);
  form.submit();
  return {
    read: await attempt(async () => (await fetch(`${origin}/api/v1/topics`)).text()),
    trace: await attempt(async () => (await fetch(`${origin}/trace?last=5m`)).text()),
    simplePost: await attempt(async () => (await fetch(`${origin}/api/v1/topics`, { method: "POST", body })).text()),
    post: await attempt(async () => (await fetch(`${origin}/api/v1/topics`, { method: "POST", body, headers: json })).text()),
    schema: await attempt(async () => (await fetch(`${origin}/api/v1/registry/subjects/customer`, { method: "DELETE", headers: json })).text()),
    script: await loaded("script", `${origin}/console/app.js`),
    image: await loaded("img", `${origin}/console/icon.svg`),
    ...await framed && {},
  };
};

export async function attack(page, console) {
  page.ignoresProblems = true;
  const { origin, port } = new URL(console);
  const server = createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<!doctype html><title>Other</title><p>Other</p><iframe name=\"elsewhere\"></iframe>"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const before = await api(console, "GET", "/topics");
    // Another site, and another port of the same one.
    for (const host of ["127.0.0.1", "localhost"]) {
      await page.open(`http://${host}:${server.address().port}/`);
      await page.until("page of the attacker", (it) => document.title === "Other" && location.hostname === it, host);
      const results = await page.run(ATTEMPTS, origin);
      for (const [name, result] of Object.entries(results)) assert.equal(result, "refused", `${name} from ${host}`);
    }
    // A frame of another site is not in this tree.
    const { frameTree } = await page.send("Page.getFrameTree");
    const frame = frameTree.childFrames.map((it) => it.frame).find((it) => (it.unreachableUrl || it.url).endsWith("/console/"));
    assert.ok(frame.unreachableUrl, `the console is in a frame: ${frame.url}`);
    // A name of the attacker that now resolves to this machine: the page's origin is that name.
    await page.open(`http://rebound.test:${port}/console/`);
    await page.until("refusal", () => location.hostname === "rebound.test" && document.body.innerText.length > 0);
    const rebound = await page.run(async () => {
      const status = async (path, options) => (await fetch(path, options)).status;
      const headers = { "X-Ottla-Admin": "1" };
      return [await status("/console/app.js"), await status("/api/v1/topics"), await status("/trace"),
        await status("/api/v1/topics", { method: "POST", headers, body: "{\"name\": \"stolen\"}" })];
    });
    assert.deepEqual(rebound, [403, 403, 403, 403], "after DNS rebinding");
    const names = (it) => it.topics.map((topic) => topic.name);
    assert.deepEqual(names(await api(console, "GET", "/topics")), names(before), "the topics after the attacks");
    assert.deepEqual(await api(console, "GET", "/registry/subjects/customer/versions"), [1]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
