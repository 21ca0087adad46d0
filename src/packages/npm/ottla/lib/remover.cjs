// Removes a broker's directory when this process ends, after the broker's process. Without it, the directory would be left if
// this process is killed after the broker, or ends long after a signal at which the broker keeps its data. It ignores the
// signals that may be sent to all processes of a test run. Without /bin/sh it does nothing.
"use strict";

const { spawn } = require("node:child_process");

/** Without a line on stdin before its end: waits for the end of the process $2, but not for long, and removes $1. */
const REMOVE = `trap "" HUP INT TERM
read -r keep && exit
tries=100
while kill -0 "$2" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
rm -rf -- "$1"`;

class Remover {
  #child;

  constructor(directory, pid) {
    const args = ["-c", REMOVE, "sh", directory, String(pid)];
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
