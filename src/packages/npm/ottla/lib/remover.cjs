// Removes a directory when this process ends, while no broker runs that does. It ignores the signals that may be sent to all
// processes of a test run.
"use strict";

const { spawn } = require("node:child_process");

class Remover {
  #child;

  constructor(directory) {
    const args = ["-c", 'trap "" HUP INT TERM; read -r keep || rm -rf -- "$1"', "sh", directory];
    this.#child = spawn("/bin/sh", args, { detached: true, stdio: ["pipe", "ignore", "ignore"] });
    this.#child.on("error", () => {});
    this.#child.stdin.on("error", () => {});
    this.#child.unref();
    this.#child.stdin.unref();
  }

  /** Ends it; the directory is kept. */
  release() {
    this.#child.stdin.end("keep\n");
  }
}

module.exports = { Remover };
