// Finds the program.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { OttlaError } = require("./error.cjs");

const PLATFORM = `@ottla/${process.platform}-${process.arch}`;

function findBinary(binary) {
  for (const [given, name] of [[binary, "the given binary"], [process.env.OTTLA_BINARY, "OTTLA_BINARY"]]) {
    if (!given) continue;
    // It is an error, and no reason to look further: another program would be tested than the one that was asked for.
    if (!isExecutable(given)) throw new OttlaError(`${name}, ${given}, is not an executable file`);
    return given;
  }
  const found = packaged() ?? onPath();
  if (found) return found;
  throw new OttlaError(
    `found no program ottla: no binary was given, OTTLA_BINARY is not set, the package ${PLATFORM} is not installed, ` +
      "and no directory of the PATH has it",
  );
}

/** Returns the program of the package for this platform, an optional dependency. */
function packaged() {
  let manifest;
  try {
    manifest = require.resolve(`${PLATFORM}/package.json`);
  } catch {
    return undefined;
  }
  const program = path.join(path.dirname(manifest), "bin", "ottla");
  if (!isExecutable(program)) throw new OttlaError(`the package ${PLATFORM} has no executable file ${program}`);
  return program;
}

function onPath() {
  const directories = (process.env.PATH ?? "").split(path.delimiter).filter((directory) => directory !== "");
  return directories.map((directory) => path.join(directory, "ottla")).find(isProgram);
}

/** Whether it is a program other than this package's command, which package managers add to the PATH. */
function isProgram(file) {
  if (file.includes(path.join("node_modules", ".bin")) || !isExecutable(file)) return false;
  try {
    return path.extname(fs.realpathSync(file)) !== ".cjs";
  } catch {
    return false;
  }
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

module.exports = { findBinary };
