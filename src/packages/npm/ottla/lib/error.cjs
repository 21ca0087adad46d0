"use strict";

class OttlaError extends Error {
  constructor(message, { code, logLines = [], cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "OttlaError";
    this.code = code;
    this.logLines = logLines;
  }
}

module.exports = { OttlaError };
