"use strict";

const { findBinary } = require("./lib/binary.cjs");
const { Broker } = require("./lib/broker.cjs");
const { OttlaError } = require("./lib/error.cjs");

// Written so that Node finds the names when an ES module imports this file.
exports.Broker = Broker;
exports.OttlaError = OttlaError;
exports.findBinary = findBinary;
