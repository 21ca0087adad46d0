//! Listeners, connections, request limits and quotas.

use super::settings;

settings! {
    pub(super) const NETWORK:
    "listeners",                                        List,   "PLAINTEXT://:9092",   Endpoints,     ReadOnly,    Implemented, "Where clients connect: NAME://host:port, separated by commas. An empty host, 0.0.0.0 or [::] means all addresses; port 0 chooses a free one. Unset, the ports of advertised.listeners on all addresses.";
    "advertised.listeners",                             List,   null,                  Endpoints,     PerBroker,   Implemented, "The addresses that clients get to connect to, per listener. Unset, 0.0.0.0 or an empty host: the address at which the client reached the broker.";
    "listener.security.protocol.map",                   String, "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Any,           ReadOnly,    Implemented, "The security protocol of each listener, by name: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.";
    "early.start.listeners",                            List,   null,                  Any,           ReadOnly,    Ignored, "Listeners that open before start has finished. Here all open once the broker is ready.";
    "inter.broker.listener.name",                       String, null,                  Any,           ReadOnly,    Ignored, "The listener that brokers would use between themselves; there are no others.";
    "max.connections",                                  Int,    "2147483647",          AtLeast(0),    ClusterWide, Implemented, "Limit of open connections; further ones wait in the kernel's queue until one closes.";
    "max.connections.per.ip",                           Int,    "2147483647",          AtLeast(0),    ClusterWide, Implemented, "Limit of open connections from one address; further ones are closed.";
    "max.connections.per.ip.overrides",                 String, "",                    AddressCounts, ClusterWide, Implemented, "Exceptions to max.connections.per.ip, as address:count, separated by commas.";
    "max.connection.creation.rate",                     Int,    "2147483647",          AtLeast(0),    ClusterWide, Implemented, "New connections per second, over all listeners; further ones wait. The rate is measured over quota.window.num samples.";
    "connections.max.idle.ms",                          Long,   "600000",              Any,           ReadOnly,    Implemented, "A connection without a request for this long is closed.";
    "connections.max.reauth.ms",                        Long,   "0",                   Any,           ReadOnly,    Implemented, "How long a SASL session lasts before the client must authenticate again; 0 is for ever.";
    "connection.failed.authentication.delay.ms",        Int,    "100",                 AtLeast(0),    ReadOnly,    Implemented, "The delay before the answer to a failed authentication.";
    "socket.listen.backlog.size",                       Int,    "1024",                AtLeast(1),    ReadOnly,    Implemented, "Connections that the kernel may hold before they are accepted.",
        kafka "50", "Beyond it the kernel drops a first packet and the client waits a second: a test suite connects hundreds of clients at once.";
    "socket.receive.buffer.bytes",                      Int,    "-1",                  Any,           ReadOnly,    Implemented, "The receive buffer of a connection's socket; -1 lets the kernel choose and adjust it.",
        kafka "102400", "A fixed size keeps the kernel from adjusting the buffer to the connection.";
    "socket.send.buffer.bytes",                         Int,    "-1",                  Any,           ReadOnly,    Implemented, "The send buffer of a connection's socket; -1 lets the kernel choose and adjust it.",
        kafka "102400", "A fixed size keeps the kernel from adjusting the buffer to the connection.";
    "socket.request.max.bytes",                         Int,    "104857600",           AtLeast(1),    ReadOnly,    Implemented, "The largest request; a connection that announces a larger one is closed before its body is read.";
    "queued.max.requests",                              Int,    "500",                 AtLeast(1),    ReadOnly,    Ignored, "Requests that wait or run at once. Their memory is bounded instead, by queued.max.request.bytes.";
    "queued.max.request.bytes",                         Long,   "-1",                  Any,           ReadOnly,    Implemented, "Memory for requests that wait or run at once; -1 derives it from the memory limit of the cgroup.";
    "fetch.max.bytes",                                  Int,    "57671680",            AtLeast(1024), ReadOnly,    Implemented, "Limit of a fetch response, whatever the client requests.";
    "max.incremental.fetch.session.cache.slots",        Int,    "1000",                AtLeast(0),    ReadOnly,    Implemented, "Limit of fetch sessions; a client without one lists all its partitions in each fetch.";
    "fetch.purgatory.purge.interval.requests",          Int,    "1000",                Any,           ReadOnly,    Ignored, "Tuning of Kafka's list of waiting fetches; not needed here.";
    "producer.purgatory.purge.interval.requests",       Int,    "1000",                Any,           ReadOnly,    Ignored, "Tuning of Kafka's list of waiting produces.";
    "delete.records.purgatory.purge.interval.requests", Int,    "1",                   Any,           ReadOnly,    Ignored, "Tuning of Kafka's list of waiting record deletions.";
    "share.fetch.purgatory.purge.interval.requests",    Int,    "1000",                Any,           ReadOnly,    Ignored, "Tuning of Kafka's list of waiting share fetches.";
    "max.request.partition.size.limit",                 Int,    "2000",                AtLeast(1),    ReadOnly,    Implemented, "Partitions in one answer to DescribeTopicPartitions.";
    "num.network.threads",                              Int,    "3",                   AtLeast(1),    ClusterWide, Ignored, "Threads that read and write sockets; here the async runtime has one per core.";
    "num.io.threads",                                   Int,    "8",                   AtLeast(1),    ClusterWide, Ignored, "Threads that handle requests; here the async runtime has one per core.";
    "background.threads",                               Int,    "10",                  AtLeast(1),    ClusterWide, Ignored, "Threads for Kafka's housekeeping.";
    "request.timeout.ms",                               Int,    "30000",               Any,           ReadOnly,    Ignored, "How long a broker waits for another broker; there are no others.";
    "quota.window.num",                                 Int,    "11",                  AtLeast(1),    ReadOnly,    Implemented, "Samples kept for client quotas and connection creation rates. All but one are the time over which a burst may be averaged.";
    "quota.window.size.seconds",                        Int,    "1",                   AtLeast(1),    ReadOnly,    Implemented, "Length of each sample for client quotas.";
    "client.quota.callback.class",                      Class,  null,                  Any,           ReadOnly,    Ignored, "A Java class that decides client quotas. Java classes are not supported: the broker refuses to start with one.";
    "telemetry.max.bytes",                              Int,    "1048576",             AtLeast(1),    ReadOnly,    Implemented, "The largest set of metrics that a client may push, in bytes as they are sent.";
}
