// Drives a headless Chromium over the DevTools protocol, through a pipe. Every wait is bounded.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TIMEOUT = 40_000;
const FLAGS = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
  "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-default-apps", "--disable-extensions", "--hide-scrollbars", "--mute-audio",
  // A name that an attacker owns, and that resolves to this machine.
  "--host-resolver-rules=MAP rebound.test 127.0.0.1"];

export async function launch(program) {
  const home = mkdtempSync(join(tmpdir(), "ottla-chromium-"));
  const child = spawn(program, [...FLAGS, `--user-data-dir=${home}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], env: { ...process.env, HOME: home },
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const [input, output] = [child.stdio[3], child.stdio[4]];
  const waiting = new Map();
  const listeners = new Map();
  let last = 0;
  let rest = Buffer.alloc(0);
  input.on("error", () => {});
  output.on("data", (data) => {
    rest = Buffer.concat([rest, data]);
    for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1)) {
      const message = JSON.parse(rest.subarray(0, end).toString());
      if (message.id === undefined) {
        (listeners.get(message.sessionId) || (() => {}))(message.method, message.params);
        continue;
      }
      const { resolve, reject, method } = waiting.get(message.id) || {};
      waiting.delete(message.id);
      if (message.error) reject?.(new Error(`${method}: ${message.error.message}`));
      else resolve?.(message.result);
    }
  });
  const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    const id = last += 1;
    const timer = setTimeout(() => reject(new Error(`${method} took too long`)), TIMEOUT);
    const done = (then) => (value) => { clearTimeout(timer); then(value); };
    waiting.set(id, { resolve: done(resolve), reject: done(reject), method });
    input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  });
  return {
    async open() {
      const { targetId } = await send("Target.createTarget", { url: "about:blank" });
      const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
      const page = new Page((method, params) => send(method, params, sessionId));
      listeners.set(sessionId, (method, params) => page.onEvent(method, params));
      await page.begin();
      return page;
    },
    async close() {
      await Promise.race([send("Browser.close").catch(() => {}), ended]);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 3000))]);
      child.kill("SIGKILL");
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const KEYS = {
  Tab: { key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 },
  Enter: { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" },
  Space: { key: " ", code: "Space", windowsVirtualKeyCode: 32, text: " " },
  ArrowDown: { key: "ArrowDown", code: "ArrowDown", windowsVirtualKeyCode: 40 },
};

class Page {
  /** What went wrong in the page: errors of scripts, refused loads, and violations of its policy. */
  problems = [];
  ignoresProblems = false;

  constructor(send) {
    this.send = send;
  }

  onEvent(method, params) {
    if (this.ignoresProblems) return;
    if (method === "Runtime.exceptionThrown") {
      const { exceptionDetails: it } = params;
      this.problems.push(it.exception?.description || it.text);
    }
    if (method === "Log.entryAdded" && params.entry.level === "error" && params.entry.source !== "network") {
      this.problems.push(params.entry.text);
    }
    if (method === "Runtime.bindingCalled") this.problems.push(`violation of the policy: ${params.payload}`);
    if (method === "Page.javascriptDialogOpening") {
      this.problems.push(`a dialog: ${params.message}`);
      this.send("Page.handleJavaScriptDialog", { accept: false }).catch(() => {});
    }
  }

  async begin() {
    for (const domain of ["Page", "Runtime", "Log", "Performance"]) await this.send(`${domain}.enable`);
    await this.send("Runtime.addBinding", { name: "reportViolation" });
    await this.send("Page.addScriptToEvaluateOnNewDocument", {
      source: "addEventListener('securitypolicyviolation', (it) => reportViolation(`${it.violatedDirective} ${it.blockedURI}`));",
    });
    await this.viewport(1280, 800);
  }

  async viewport(width, height, mobile = false) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
  }

  async scheme(name) {
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: name }] });
  }

  /** Runs a function in the page. */
  async run(action, ...given) {
    const source = typeof action === "string" ? action : `(${action})(...${JSON.stringify(given)})`;
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression: source, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text);
    return result.value;
  }

  /** Waits until a function returns something true in the page. */
  async until(what, action, ...given) {
    const started = Date.now();
    for (;;) {
      // A page that is being replaced cannot run it.
      const value = await this.run(action, ...given).catch(() => undefined);
      if (value) return value;
      if (Date.now() - started > TIMEOUT) {
        const text = await this.run(() => document.body.innerText).catch(() => "");
        throw new Error(`there is no ${what} in time; problems: ${this.problems.join("; ")}; the page has: ${text.slice(0, 2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async open(url) {
    await this.send("Page.navigate", { url });
  }

  /** Opens a page of a console, and waits until it has replaced the one before. */
  async visit(console, address) {
    await this.run(() => { document.querySelector("#main > *")?.setAttribute("data-old", ""); });
    await this.open(`${console}#${address}`);
    await this.until("new page", () => document.querySelector("#main > :not([data-old])"));
  }

  element(id) {
    return this.until(`element ${id}`, (it) => { const found = document.getElementById(it); return found && found.getClientRects().length > 0 && !found.disabled; }, id);
  }

  has(text, id = "main") {
    return this.until(`text "${text}"`, (it, of) => document.getElementById(of)?.textContent.includes(it), text, id);
  }

  async click(id) {
    await this.until(`enabled control ${id}`, (it) => {
      const control = document.getElementById(it);
      if (!control || control.disabled || control.getClientRects().length === 0) return false;
      control.click();
      return true;
    }, id);
  }

  /** Sets the value of a control as a person does, with its events. */
  async fill(id, value) {
    await this.until(`control ${id}`, (it, text) => {
      const control = document.getElementById(it);
      if (!control || control.getClientRects().length === 0) return false;
      control.value = text;
      control.dispatchEvent(new Event("input", { bubbles: true }));
      control.dispatchEvent(new Event("change", { bubbles: true }));
      return true;
    }, id, value);
  }

  async press(name) {
    await this.send("Input.dispatchKeyEvent", { type: KEYS[name].text ? "keyDown" : "rawKeyDown", ...KEYS[name] });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...KEYS[name] });
  }

  async type(text) {
    await this.send("Input.insertText", { text });
  }

  /** Presses the tabulator until an element has the focus. */
  async tabTo(id) {
    for (let presses = 0; presses < 200; presses += 1) {
      if (await this.run(() => document.activeElement?.id) === id) return presses;
      await this.press("Tab");
    }
    throw new Error(`the tabulator does not reach ${id}`);
  }

  async picture(path) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(data, "base64"));
  }

  /** The bytes of the page's script objects after a collection. */
  async heap() {
    await this.send("HeapProfiler.collectGarbage");
    const { metrics } = await this.send("Performance.getMetrics");
    return metrics.find((it) => it.name === "JSHeapUsedSize").value;
  }
}
