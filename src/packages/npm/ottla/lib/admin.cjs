// Requests to a broker's admin port.
"use strict";

const http = require("node:http");

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_LENGTH = 1 << 20;
/** Requests to a broker at a time; a broker closes connections beyond 256. */
const MAX_REQUESTS = 64;

/** Sends requests to the admin port of a broker; others wait for their turn. */
class AdminPort {
  #running = 0;
  #waiting = [];

  /** Sends a POST request. Returns the status and the JSON object of the answer. */
  async post(url, body, token) {
    if (this.#running < MAX_REQUESTS) this.#running += 1;
    else await new Promise((resolve) => this.#waiting.push(resolve));
    try {
      return await post(url, body, token);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}

/** Sends a POST request. Returns the status and the JSON object of the answer. */
function post(url, body, token) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? "" : JSON.stringify(body);
    const headers = {
      "X-Ottla-Admin": "1",
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(text),
      Connection: "close",
      ...(token && { Authorization: `Bearer ${token}` }),
    };
    const request = http.request(url, { method: "POST", headers, agent: false });
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    request.once("close", () => clearTimeout(timer));
    request.once("error", reject);
    request.once("response", (response) => {
      let answer = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => {
        answer += piece;
        if (answer.length > MAX_ANSWER_LENGTH) response.destroy(new Error("the answer is too long"));
      });
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode, answer: parse(answer) }));
    });
    request.end(text);
  });
}

/** Returns the object, or one with the text as its error if the text is not JSON. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { error: text.trim() };
  }
}

module.exports = { AdminPort };
