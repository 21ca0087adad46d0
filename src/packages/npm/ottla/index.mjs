// The same classes as with require(), so that a program that uses both has one of each.
import ottla from "./index.cjs";

export const { Broker, OttlaError, findBinary } = ottla;
