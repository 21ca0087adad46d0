// Compiled as an ES module and as a CommonJS module, and never run.
import { Broker, OttlaError, findBinary, type BrokerOptions, type NewTopic } from "ottla";

const options: BrokerOptions = {
  topics: { orders: 3 },
  settings: { "message.max.bytes": 2_000_000, "log.cleaner.enable": true, "log.segment.bytes": "1000000" },
  secure: true,
  users: { ann: "secret" },
  logLevel: "debug",
  binary: findBinary(),
  args: ["--log-format", "json"],
  startTimeout: 1,
  stopTimeout: 1,
};
const topic: NewTopic = { partitions: 3, configs: { "retention.ms": 1000 } };

export async function use(): Promise<string[]> {
  await using broker = await Broker.start(options);
  const other: AsyncDisposable = await Broker.start({ topics: ["orders:3"] });
  await other[Symbol.asyncDispose]();
  await broker.reset();
  await broker.createTopic("orders", topic);
  await broker.kill();
  await broker.restart();
  const address: string = broker.bootstrapServers + broker.adminUrl + broker.listeners["SSL"] + broker.dataDir;
  const file: string | undefined = broker.ca ?? broker.secureDir;
  if (broker.running && broker.pid > 0) await broker.stop();
  const error = new OttlaError("a message");
  return [address, file ?? "", error.code ?? "", ...error.logLines, ...broker.logLines];
}

// @ts-expect-error: there is no such option
void Broker.start({ topic: "orders" });
// @ts-expect-error: partitions are numbers
void Broker.start({ topics: { orders: "3" } });
// @ts-expect-error: brokers come from start()
new Broker();
