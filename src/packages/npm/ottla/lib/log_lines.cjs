// The last lines of a broker's log.
"use strict";

const { StringDecoder } = require("node:string_decoder");

const MAX_LINES = 10_000;
/** What a longer line has more than this is dropped. */
const MAX_LINE_LENGTH = 16_384;

class LogLines {
  #lines = [];
  #first = 0;
  #part = "";
  #decoder = new StringDecoder("utf8");

  /** Adds a piece of the log, which may end within a line or a character. */
  add(bytes) {
    const pieces = this.#decoder.write(bytes).split("\n");
    for (const [index, piece] of pieces.entries()) {
      this.#part = (this.#part + piece).slice(0, MAX_LINE_LENGTH);
      if (index < pieces.length - 1) this.#end();
    }
  }

  /** Ends a line that has no line end: the process has ended. */
  close() {
    this.#part = (this.#part + this.#decoder.end()).slice(0, MAX_LINE_LENGTH);
    if (this.#part !== "") this.#end();
  }

  all() {
    return this.#lines.slice(this.#first);
  }

  #end() {
    this.#lines.push(this.#part);
    this.#part = "";
    if (this.#lines.length - this.#first > MAX_LINES) this.#first += 1;
    // One copy for many lines.
    if (this.#first >= MAX_LINES) {
      this.#lines = this.all();
      this.#first = 0;
    }
  }
}

module.exports = { LogLines };
