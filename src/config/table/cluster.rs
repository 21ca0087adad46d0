//! The broker itself, its controller, topic creation, the metadata log and metrics.

use super::settings;

settings! {
    pub(super) const CLUSTER:
    "node.id",                                                 Int,     "1",                   AtLeast(0),      ReadOnly,    Implemented, "This broker's id; broker.id is its older name.",
        kafka "(must be given)", "A single broker needs no configured id.";
    "broker.id",                                               Int,     "-1",                  Any,             ReadOnly,    Implemented, "The older name of node.id.";
    "broker.rack",                                             String,  null,                  Any,             ReadOnly,    Implemented, "The location of this broker that clients see (a zone, a rack).";
    "process.roles",                                           List,    "broker,controller",   EachOf(&["broker", "controller"]), ReadOnly,    Ignored, "Broker, controller or both; this one process is both.",
        kafka "(must be given)", "This process is always both.";
    "num.partitions",                                          Int,     "1",                   AtLeast(1),      ReadOnly,    Implemented, "Partitions of a topic that is created without a number.";
    "auto.create.topics.enable",                               Boolean, "true",                Any,             ReadOnly,    Implemented, "Whether a topic is created when a client first requests its metadata.";
    "delete.topic.enable",                                     Boolean, "true",                Any,             ReadOnly,    Implemented, "Whether topics may be deleted.";
    "default.replication.factor",                              Int,     "1",                   Any,             ReadOnly,    Implemented, "Replicas of a topic that is created without a number; see ottla.replication.factor.policy.";
    "create.topic.policy.class.name",                          Class,   null,                  Any,             ReadOnly,    Ignored, "A Java class that checks new topics; Java classes are not supported.";
    "alter.config.policy.class.name",                          Class,   null,                  Any,             ReadOnly,    Ignored, "A Java class that checks changes of settings; Java classes are not supported.";
    "config.providers",                                        List,    "",                    Any,             ClusterWide, Ignored, "Java classes that fetch values from elsewhere. Java classes are not supported: the broker refuses to start with one.";
    "controller.listener.names",                               List,    "CONTROLLER",          Any,             ReadOnly,    Implemented, "Names of the controllers' listeners. Those in listeners are not opened: the controller is in the same process.",
        kafka "(must be given)", "The usual name in configuration files; the listener is not opened.";
    "controller.quorum.voters",                                List,    "",                    Any,             ReadOnly,    Ignored, "The controllers, as id@host:port; the only one is in this process.";
    "controller.quorum.bootstrap.servers",                     List,    "",                    Any,             ReadOnly,    Ignored, "The addresses of the controllers; the only one is in this process.";
    "controller.quorum.auto.join.enable",                      Boolean, "false",               Any,             ReadOnly,    Ignored, "Whether a controller joins the voters by itself.";
    "controller.quorum.append.linger.ms",                      Int,     "25",                  AtLeast(0),      ReadOnly,    Ignored, "How long a controller gathers records before it writes them.";
    "controller.quorum.election.timeout.ms",                   Int,     "1000",                AtLeast(0),      ReadOnly,    Ignored, "How long a controller waits for votes; a single node has no elections.";
    "controller.quorum.election.backoff.max.ms",               Int,     "1000",                AtLeast(0),      ReadOnly,    Ignored, "The longest pause between elections; a single node has no elections.";
    "controller.quorum.fetch.timeout.ms",                      Int,     "2000",                AtLeast(0),      ReadOnly,    Ignored, "How long a voter goes without its leader before it calls an election.";
    "controller.quorum.fetch.max.bytes",                       Int,     "1048576",             AtLeast(1),      ReadOnly,    Ignored, "The most that controllers fetch from each other at once.";
    "controller.quorum.fetch.snapshot.max.bytes",              Int,     "1048576",             AtLeast(1),      ReadOnly,    Ignored, "The most of a snapshot that controllers fetch from each other at once.";
    "controller.quorum.request.timeout.ms",                    Int,     "2000",                AtLeast(0),      ReadOnly,    Ignored, "How long a controller waits for another's answer.";
    "controller.quorum.retry.backoff.ms",                      Int,     "20",                  AtLeast(0),      ReadOnly,    Ignored, "The pause before a controller retries a request.";
    internal "controller.performance.always.log.threshold.ms", Long,    "2000",                AtLeast(0),      ReadOnly,    Ignored, "A controller event slower than this is always logged.";
    internal "controller.performance.sample.period.ms",        Long,    "60000",               AtLeast(100),    ReadOnly,    Ignored, "How often the controller's event times are summed up.";
    "controller.quota.window.num",                             Int,     "11",                  AtLeast(1),      ReadOnly,    Implemented, "Samples kept for quotas on topic changes.";
    "controller.quota.window.size.seconds",                    Int,     "1",                   AtLeast(1),      ReadOnly,    Implemented, "Length of each sample for quotas on topic changes.";
    "controller.socket.timeout.ms",                            Int,     "30000",               Any,             ReadOnly,    Ignored, "The timeout of a controller's connection to brokers.";
    "controlled.shutdown.enable",                              Boolean, "true",                Any,             ReadOnly,    Ignored, "Whether leadership moves to other brokers before a stop; there are no others.";
    "broker.heartbeat.interval.ms",                            Int,     "2000",                Any,             ReadOnly,    Ignored, "How often a broker reports to its controller; here they are one process.";
    "broker.session.timeout.ms",                               Int,     "9000",                Any,             ReadOnly,    Ignored, "A broker silent for this long is fenced; here broker and controller are one process.";
    "initial.broker.registration.timeout.ms",                  Int,     "60000",               Any,             ReadOnly,    Ignored, "How long a broker tries to register with its controller at start.";
    internal "server.max.startup.time.ms",                     Long,    "9223372036854775807", AtLeast(0),      ReadOnly,    Ignored, "A start that takes longer is aborted.";
    "metadata.log.dir",                                        String,  null,                  Any,             ReadOnly,    Implemented, "The directory of the metadata log; unset, the data directory.";
    "metadata.log.segment.bytes",                              Int,     "1073741824",          AtLeast(8388608), ReadOnly,    Ignored, "The size at which the metadata log's file rolls.";
    "metadata.log.segment.ms",                                 Long,    "604800000",           Any,             ReadOnly,    Ignored, "The age at which the metadata log's file rolls.";
    "metadata.log.max.record.bytes.between.snapshots",         Long,    "20971520",            AtLeast(1),      ReadOnly,    Ignored, "Bytes of new metadata that call for a snapshot.";
    "metadata.log.max.snapshot.interval.ms",                   Long,    "3600000",             AtLeast(0),      ReadOnly,    Ignored, "The longest time between two snapshots of metadata.";
    "metadata.max.idle.interval.ms",                           Int,     "500",                 AtLeast(0),      ReadOnly,    Ignored, "How often an idle controller writes an empty record; here none is needed.";
    "metadata.max.retention.bytes",                            Long,    "104857600",           Any,             ReadOnly,    Ignored, "How much of old metadata is kept.";
    "metadata.max.retention.ms",                               Long,    "604800000",           Any,             ReadOnly,    Ignored, "How long old metadata is kept.";
    internal "internal.metadata.delete.delay.millis",          Long,    "60000",               Any,             ReadOnly,    Ignored, "How long removed metadata files stay on disk.";
    internal "internal.metadata.log.segment.bytes",            Int,     null,                  Any,             ReadOnly,    Ignored, "The size at which the metadata log's file rolls, without a floor; for tests.";
    internal "internal.metadata.max.batch.size.in.bytes",      Int,     "8388608",             Any,             ReadOnly,    Ignored, "The largest batch of metadata records.";
    "metric.reporters",                                        List,    "org.apache.kafka.common.metrics.JmxReporter", Any,             ClusterWide, Ignored, "Java classes that export metrics; Java classes are not supported.";
    "metrics.num.samples",                                     Int,     "2",                   AtLeast(1),      ReadOnly,    Ignored, "Samples kept per metric.";
    "metrics.sample.window.ms",                                Long,    "30000",               AtLeast(1),      ReadOnly,    Ignored, "Length of a metric's sample.";
    "metrics.recording.level",                                 String,  "INFO",                Any,             ReadOnly,    Ignored, "Which metrics Kafka records.";
    "kafka.metrics.reporters",                                 List,    "",                    Any,             ReadOnly,    Ignored, "Older Java classes that export metrics; Java classes are not supported.";
    "kafka.metrics.polling.interval.secs",                     Int,     "10",                  AtLeast(1),      ReadOnly,    Ignored, "How often the older reporters look.";
    internal "unstable.api.versions.enable",                   Boolean, "false",               Any,             ReadOnly,    Ignored, "Whether protocol versions in development are served; they are not.";
    internal "unstable.feature.versions.enable",               Boolean, "false",               Any,             ReadOnly,    Ignored, "Whether features in development may be enabled; they may not.";
}
