// What KafkaJS does over TLS and SASL: one line for each case, with the client, the case, and `ok` or the error. The
// argument is a directory with certificates and the file `addresses`.
"use strict";

const { readFileSync } = require("node:fs");
const { Kafka, logLevel } = require("kafkajs");
const { version } = require("kafkajs/package.json");

const directory = process.argv[2];
const read = (name) => readFileSync(`${directory}/${name}`, "utf8");
const addresses = Object.fromEntries(read("addresses").trim().split("\n").map((line) => line.split("=")));
const mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
const values = ["one", "two", "three"];
const seconds = 60;
// SHORT_SESSIONS end after 4 seconds, as these tokens do: between the second record and the third.
const tokenSeconds = 4;
const pause = 3;
const quickly = { retries: 0 };
const patiently = { retries: 10 };

// How a client connects; `more` has everything that differs between cases.
function access(listener, more = {}) {
  const tls = more.tls ?? !["PLAINTEXT", "SASL_PLAINTEXT", "SCRAM_ONLY", "SHORT_SESSIONS"].includes(listener);
  return {
    address: addresses[listener],
    tls,
    authority: "authority",
    user: "alice",
    password: "alice-secret",
    lifetime: 3600,
    pause: 0,
    ...more,
  };
}

function client(it, retry) {
  const certificate = it.certificate && { cert: read(`${it.certificate}.pem`), key: read(`${it.certificate}.key`) };
  return new Kafka({
    brokers: [it.address],
    ssl: it.tls && { ca: [read(`${it.authority}.pem`)], ...certificate },
    sasl: it.mechanism && sasl(it),
    retry,
    logLevel: logLevel.NOTHING,
  });
}

function sasl(it) {
  const mechanism = it.mechanism.toLowerCase();
  if (it.mechanism === "OAUTHBEARER") {
    return { mechanism, oauthBearerProvider: async () => ({ value: token(it) }) };
  }
  return { mechanism, username: it.user, password: it.password };
}

// An unsigned JSON Web Token.
function token(it) {
  const now = Math.floor(Date.now() / 1000);
  const parts = [{ alg: "none" }, { sub: it.user, iat: now - 7200, exp: now + it.lifetime }];
  return parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".") + ".";
}

function* succeeding() {
  yield ["SSL", access("SSL")];
  yield ["SSL with a certificate", access("MTLS", { certificate: "client" })];
  for (const listener of ["SASL_PLAINTEXT", "SASL_SSL"]) {
    for (const mechanism of mechanisms) yield [`${listener} ${mechanism}`, access(listener, { mechanism })];
  }
  for (const mechanism of mechanisms.slice(0, 2)) {
    yield [`session that expires, ${mechanism}`, access("SHORT_SESSIONS", { mechanism, pause })];
  }
  const shortLived = { mechanism: "OAUTHBEARER", lifetime: tokenSeconds, pause };
  yield ["token that expires in the session", access("SASL_PLAINTEXT", shortLived)];
}

function* failing() {
  for (const mechanism of mechanisms.slice(0, 3)) {
    yield [`wrong password, ${mechanism}`, access("SASL_PLAINTEXT", { mechanism, password: "wrong" })];
    yield [`unknown user, ${mechanism}`, access("SASL_SSL", { mechanism, user: "nobody" })];
  }
  yield ["expired token", access("SASL_PLAINTEXT", { mechanism: "OAUTHBEARER", lifetime: -60 })];
  yield ["mechanism that is not enabled", access("SCRAM_ONLY", { mechanism: "PLAIN" })];
  yield ["expired certificate of the broker", access("EXPIRED")];
  yield ["untrusted authority", access("SSL", { authority: "other-authority" })];
  yield ["wrong host name", access("SSL", { address: addresses.SSL.replace("localhost", "127.0.0.1") })];
  yield ["no certificate", access("MTLS")];
  yield ["untrusted certificate", access("MTLS", { certificate: "untrusted" })];
  yield ["expired certificate", access("MTLS", { certificate: "expired" })];
  yield ["no TLS at a port with TLS", access("SSL", { tls: false })];
  yield ["TLS at a port without TLS", access("PLAINTEXT", { tls: true })];
  yield ["no SASL at a port with SASL", access("SASL_PLAINTEXT")];
}

// Produces three records and reads them in a group.
async function works(name, it) {
  const kafka = client(it, patiently);
  const topic = `security-${name.replace(/[^\w]/g, "-")}-${Date.now()}`;
  const producer = kafka.producer();
  await producer.connect();
  for (const value of values) {
    await producer.send({ topic, messages: [{ value }] });
    await new Promise((done) => setTimeout(done, it.pause * 1000));
  }
  await producer.disconnect();
  const consumer = kafka.consumer({ groupId: topic });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const found = [];
  await new Promise((done, failed) => {
    const timer = setTimeout(() => failed(new Error(`read ${found}`)), seconds * 1000);
    const eachMessage = async ({ message }) => {
      found.push(message.value.toString());
      if (found.length === values.length) {
        clearTimeout(timer);
        done();
      }
    };
    consumer.run({ eachMessage }).catch(failed);
  });
  await consumer.disconnect();
  return found.join() === values.join() ? "ok" : `read ${found}`;
}

async function fails(it) {
  const admin = client(it, quickly).admin();
  try {
    await admin.connect();
    await admin.listTopics();
    return "no error";
  } finally {
    await admin.disconnect();
  }
}

// The names and messages of an error and its causes.
async function outcome(run) {
  try {
    return await run;
  } catch (error) {
    const causes = [];
    for (let cause = error; cause; cause = cause.cause) causes.push(`${cause.name}: ${cause.message}`);
    return normalised([...new Set(causes)].join(" < "));
  }
}

// Without ports, and what differs between versions of OpenSSL.
function normalised(text) {
  return text
    .replace(/(localhost|127\.0\.0\.1):\d+/g, "$1:PORT")
    .replace(/\w+:error:\w+:SSL routines:\w+:(?:\S+ )?(alert [^:]+):.*?SSL alert number \d+/g, "$1")
    .replace(/\s+/g, " ")
    .trim();
}

async function main() {
  const pending = [];
  for (const [name, it] of succeeding()) pending.push([name, outcome(works(name, it))]);
  for (const [name, it] of failing()) pending.push([name, outcome(fails(it))]);
  for (const [name, result] of pending) console.log(`KafkaJS ${version}\t${name}\t${await result}`);
  process.exit(0);
}

main();
