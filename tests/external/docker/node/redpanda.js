// Testcontainers' RedpandaContainer for Node.js, unmodified, with the image in the first argument in place of its own.

const assert = require("node:assert");
const { RedpandaContainer } = require("@testcontainers/redpanda");
const { Kafka, logLevel } = require("kafkajs");

async function produceAndConsume(servers) {
  const kafka = new Kafka({ brokers: [servers], logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "orders", messages: [{ value: "value" }] });
  await producer.disconnect();
  const consumer = kafka.consumer({ groupId: "readers" });
  await consumer.connect();
  await consumer.subscribe({ topic: "orders", fromBeginning: true });
  const value = await new Promise((resolve) =>
    consumer.run({ eachMessage: async ({ message }) => resolve(message.value.toString()) }),
  );
  assert.strictEqual(value, "value");
  await consumer.disconnect();
}

async function main() {
  const began = Date.now();
  const container = await new RedpandaContainer(process.argv[2]).start();
  const ready = Date.now();
  try {
    await produceAndConsume(container.getBootstrapServers());
    for (const url of [
      `${container.getSchemaRegistryAddress()}/subjects`,
      `${container.getAdminAddress()}/v1`,
      `${container.getRestProxyAddress()}/topics`,
    ]) {
      assert.strictEqual((await fetch(url)).status, 200, url);
    }
  } finally {
    await container.stop();
  }
  console.log(`RedpandaContainer in Node.js: ready in ${ready - began} ms`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
