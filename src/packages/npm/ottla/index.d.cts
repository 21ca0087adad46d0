/** What {@link Broker.start} starts. */
export interface BrokerOptions {
  /**
   * Topics that exist from the start, and again after each reset: partitions by name, or names, each as
   * `"NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]]"`.
   */
  topics?: Readonly<Record<string, number>> | readonly string[];
  /** Broker settings by Kafka's names. */
  settings?: Readonly<Record<string, string | number | boolean>>;
  /** Whether the broker also has listeners with TLS (`SSL`), and with TLS and SASL (`SASL_SSL`). */
  secure?: boolean;
  /** Passwords by user, for SASL. A name has no colon. */
  users?: Readonly<Record<string, string>>;
  /** Whether the broker has a schema registry: {@link Broker.schemaRegistryUrl}. */
  schemaRegistry?: boolean;
  /** `off`, `error`, `warn`, `info` (the default), `debug` or `trace`; or `LOGGER=LEVEL`, separated by commas. */
  logLevel?: string;
  /** The path of the program; otherwise {@link findBinary} finds it. */
  binary?: string;
  /** More arguments of the program. */
  args?: readonly string[];
  /** How long a start may take, in milliseconds. The default is 30 000. */
  startTimeout?: number;
  /** How long a stop may take, in milliseconds, before the broker is killed. The default is 10 000. */
  stopTimeout?: number;
}

/** A topic to create while the broker runs. */
export interface NewTopic {
  /** The default is the broker's `num.partitions`. */
  partitions?: number;
  /** Topic settings by Kafka's names. */
  configs?: Readonly<Record<string, string | number | boolean>>;
}

/**
 * A broker in a process of its own, on a free port. It ends with this process, whatever ends that, and its data is then
 * removed. It does not keep this process alive.
 */
export class Broker {
  /** Starts a broker, and waits until it answers clients. Unknown options are a `TypeError`. */
  static start(options?: BrokerOptions): Promise<Broker>;
  private constructor();

  /** The address for Kafka clients, such as `localhost:40123`. It stays the same in a restart. */
  readonly bootstrapServers: string;
  /** The addresses of all listeners, by name. */
  readonly listeners: Readonly<Record<string, string>>;
  /** The URL of the admin port. */
  readonly adminUrl: string;
  /** The URL of the schema registry; only with `schemaRegistry`. */
  readonly schemaRegistryUrl: string | undefined;
  /** The path of the certificate that clients of listeners with TLS must trust; only with `secure`. */
  readonly ca: string | undefined;
  /** The folder with client configurations; only with `secure`. */
  readonly secureDir: string | undefined;
  /** The directory of the broker's data. It is removed at the end. */
  readonly dataDir: string;
  /** The id of the broker's process; another one after a restart. */
  readonly pid: number;
  /** Whether the process runs. */
  readonly running: boolean;
  /** The last lines of the broker's log, the oldest first: at most 10 000. */
  readonly logLines: readonly string[];

  /** Removes all topics, records, groups and changed settings; the topics of the start are created again. */
  reset(): Promise<void>;
  /** Creates a topic. An error has Kafka's name, such as `TOPIC_ALREADY_EXISTS`, as its `code`. */
  createTopic(name: string, topic?: NewTopic): Promise<void>;
  /** Stops the broker and removes its data. Does nothing if the broker is stopped. */
  stop(): Promise<void>;
  /** Kills the process (SIGKILL), as a crash does. The data stays for {@link Broker.restart}. */
  kill(): Promise<void>;
  /** Stops the process, if it runs, and starts another one with the same ports and data. */
  restart(): Promise<void>;
  /** {@link Broker.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A broker that cannot start, or that refuses a request. */
export class OttlaError extends Error {
  constructor(message: string, more?: { code?: string; logLines?: readonly string[]; cause?: unknown });
  /** Kafka's name of the error, if the broker refused a request. */
  readonly code: string | undefined;
  /** The last lines of the broker's log. */
  readonly logLines: readonly string[];
}

/**
 * Finds the program: `binary`; else the environment variable `OTTLA_BINARY`; else the package for this platform; else
 * `ottla` on the PATH. The error says all that was tried.
 */
export function findBinary(binary?: string): string;
