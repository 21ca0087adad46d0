export { Broker, OttlaError, findBinary } from "./index.cjs";
export type { BrokerOptions, NewTopic } from "./index.cjs";
