import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Calls of the newest admin client; the expected results are those of Apache Kafka. */
public final class Administer {
    private static final String TOPIC = "java-admin";
    private static final TopicPartition FIRST = new TopicPartition(TOPIC, 0);
    private static final ConfigResource TOPIC_CONFIG = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
    private static final String GROUP = "java-group";
    private static final long DAY = 86_400_000;

    private final String bootstrap;
    private final Admin admin;

    private Administer(String bootstrap, Admin admin) {
        this.bootstrap = bootstrap;
        this.admin = admin;
    }

    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            Administer run = new Administer(args[0], admin);
            int node = run.describeCluster();
            Uuid id = run.createTopics();
            run.describeTopics(id, node);
            run.alterConfigs();
            run.describeBrokerConfigs(node);
            run.listOffsets();
            run.deleteRecords();
            run.describeLogDirs(node);
            run.groups();
            run.createPartitions();
            run.deleteTopics(id);
        }
    }

    private int describeCluster() throws Exception {
        var cluster = admin.describeCluster();
        Check.equal(22, Check.get(cluster.clusterId()).length(), "length of the cluster id");
        Check.equal(1, Check.get(cluster.nodes()).size(), "nodes");
        var node = Check.get(cluster.nodes()).iterator().next();
        Check.equal(bootstrap.substring(bootstrap.lastIndexOf(':') + 1), "" + node.port(), "port");
        Check.equal(node.id(), Check.get(cluster.controller()).id(), "controller");
        return node.id();
    }

    private Uuid createTopics() throws Exception {
        NewTopic topic = new NewTopic(TOPIC, 2, (short) 1).configs(Map.of("retention.ms", "" + DAY));
        var validated = admin.createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(true));
        Check.get(validated.all());
        Check.that(!Check.get(admin.listTopics().names()).contains(TOPIC), "validateOnly creates nothing");

        var created = admin.createTopics(List.of(topic));
        Check.equal(2, Check.get(created.numPartitions(TOPIC)), "partitions");
        Check.equal(1, Check.get(created.replicationFactor(TOPIC)), "replicas");
        Check.equal("" + DAY, Check.get(created.config(TOPIC)).get("retention.ms").value(), "retention.ms");
        Check.that(Check.get(admin.listTopics().names()).contains(TOPIC), "the topic is listed");

        Check.fails(TopicExistsException.class, () -> create(topic));
        Check.fails(InvalidTopicException.class, () -> create(new NewTopic("no good name", 1, (short) 1)));
        Check.fails(InvalidPartitionsException.class, () -> create(new NewTopic("none", 0, (short) 1)));
        Check.fails(InvalidConfigurationException.class,
                () -> create(new NewTopic("none", 1, (short) 1).configs(Map.of("retention.ms", "long"))));
        Check.fails(InvalidConfigurationException.class,
                () -> create(new NewTopic("none", 1, (short) 1).configs(Map.of("no.such.setting", "1"))));

        // The broker's defaults, and a manual assignment.
        create(new NewTopic("by-default", Optional.empty(), Optional.empty()));
        create(new NewTopic("manual", Map.of(0, List.of(Check.get(admin.describeCluster().controller()).id()))));
        return Check.get(created.topicId(TOPIC));
    }

    private void create(NewTopic topic) throws Exception {
        Check.get(admin.createTopics(List.of(topic)).all());
    }

    private void describeTopics(Uuid id, int node) throws Exception {
        var names = List.of(TOPIC, "by-default", "manual");
        Map<String, TopicDescription> topics = Check.get(admin.describeTopics(names).allTopicNames());
        Check.equal(Set.copyOf(names), topics.keySet(), "topics described");
        TopicDescription topic = topics.get(TOPIC);
        Check.equal(id, topic.topicId(), "topic id");
        Check.equal(false, topic.isInternal(), "internal");
        Check.equal(2, topic.partitions().size(), "partitions");
        for (var partition : topic.partitions()) {
            Check.equal(node, partition.leader().id(), "leader");
            Check.equal(1, partition.replicas().size(), "replicas");
            Check.equal(1, partition.isr().size(), "replicas in sync");
        }
        var byId = Check.get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds());
        Check.equal(TOPIC, byId.get(id).name(), "name by id");
        Check.fails(UnknownTopicOrPartitionException.class,
                () -> Check.get(admin.describeTopics(List.of("none")).allTopicNames()));
        Check.fails(UnknownTopicIdException.class, () -> Check.get(
                admin.describeTopics(TopicCollection.ofTopicIds(List.of(Uuid.randomUuid()))).allTopicIds()));
    }

    private void alterConfigs() throws Exception {
        ConfigEntry retention = settings().get("retention.ms");
        Check.equal("" + DAY, retention.value(), "retention.ms");
        Check.equal(ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.source(), "its source");
        Check.equal(ConfigEntry.ConfigType.LONG, retention.type(), "its type");
        Check.that(!retention.documentation().isEmpty(), "it is documented");
        Check.equal(ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.synonyms().get(0).source(), "first synonym");
        Check.equal(ConfigSource.DEFAULT_CONFIG, settings().get("max.message.bytes").source(), "source of a default");

        alter(new AlterConfigOp(new ConfigEntry("retention.ms", "" + 2 * DAY), OpType.SET),
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), OpType.APPEND),
                new AlterConfigOp(new ConfigEntry("segment.ms", "" + DAY), OpType.SET));
        Check.equal("" + 2 * DAY, settings().get("retention.ms").value(), "retention.ms after SET");
        Check.equal("delete,compact", settings().get("cleanup.policy").value(), "cleanup.policy after APPEND");
        alter(new AlterConfigOp(new ConfigEntry("retention.ms", ""), OpType.DELETE),
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), OpType.SUBTRACT));
        Check.equal("" + 7 * DAY, settings().get("retention.ms").value(), "retention.ms after DELETE");
        Check.equal(ConfigSource.DEFAULT_CONFIG, settings().get("retention.ms").source(), "its source after DELETE");
        Check.equal("delete", settings().get("cleanup.policy").value(), "cleanup.policy after SUBTRACT");

        Check.fails(InvalidConfigurationException.class,
                () -> alter(new AlterConfigOp(new ConfigEntry("retention.ms", "long"), OpType.SET)));
        Check.fails(InvalidConfigurationException.class,
                () -> alter(new AlterConfigOp(new ConfigEntry("no.such.setting", "1"), OpType.SET)));
        Collection<AlterConfigOp> change = List.of(new AlterConfigOp(new ConfigEntry("segment.ms", "1"), OpType.SET));
        var validated = admin.incrementalAlterConfigs(Map.of(TOPIC_CONFIG, change), new AlterConfigsOptions().validateOnly(true));
        Check.get(validated.all());
        Check.equal("" + DAY, settings().get("segment.ms").value(), "segment.ms after validateOnly");
    }

    private void alter(AlterConfigOp... changes) throws Exception {
        Check.get(admin.incrementalAlterConfigs(Map.of(TOPIC_CONFIG, List.of(changes))).all());
    }

    private Config settings() throws Exception {
        return describe(TOPIC_CONFIG);
    }

    private Config describe(ConfigResource resource) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        return Check.get(admin.describeConfigs(List.of(resource), options).all()).get(resource);
    }

    private void describeBrokerConfigs(int node) throws Exception {
        Config settings = describe(new ConfigResource(ConfigResource.Type.BROKER, "" + node));
        Check.equal("" + node, settings.get("node.id").value(), "node.id");
        Check.equal("1", settings.get("num.partitions").value(), "num.partitions");
        Check.equal("true", settings.get("auto.create.topics.enable").value(), "auto.create.topics.enable");
        Check.that(settings.entries().size() > 100, "most settings are there");
    }

    /** Ten records with known timestamps, the largest of them in the middle. */
    private void listOffsets() throws Exception {
        long time = System.currentTimeMillis();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(
                Map.<String, Object>of("bootstrap.servers", bootstrap), new StringSerializer(), new StringSerializer())) {
            for (int number = 0; number < 10; number++) {
                long timestamp = time + (number == 5 ? 100 : number);
                sent.add(producer.send(new ProducerRecord<>(TOPIC, 0, timestamp, "key", "value " + number)));
            }
        }
        for (var metadata : sent) {
            Check.get(metadata);
        }
        Check.equal(0L, offset(OffsetSpec.earliest()), "earliest");
        Check.equal(10L, offset(OffsetSpec.latest()), "latest");
        Check.equal(5L, offset(OffsetSpec.maxTimestamp()), "maxTimestamp");
        Check.equal(3L, offset(OffsetSpec.forTimestamp(time + 3)), "forTimestamp");
        Check.equal(5L, offset(OffsetSpec.forTimestamp(time + 10)), "forTimestamp past most");
        Check.equal(-1L, offset(OffsetSpec.forTimestamp(time + DAY)), "forTimestamp past all");
        Check.equal(0L, offset(OffsetSpec.earliestLocal()), "earliestLocal");
        Check.equal(-1L, offset(OffsetSpec.latestTiered()), "latestTiered");
        Check.equal(-1L, offset(OffsetSpec.earliestPendingUpload()), "earliestPendingUpload");
        var found = Check.get(admin.listOffsets(Map.of(FIRST, OffsetSpec.maxTimestamp())).partitionResult(FIRST));
        Check.equal(time + 100, found.timestamp(), "timestamp found");
        Check.fails(UnknownTopicOrPartitionException.class, () -> {
            var none = new TopicPartition("none", 0);
            // The client retries until the timeout, so the timeout is short.
            var options = new ListOffsetsOptions().timeoutMs(1000);
            Check.get(admin.listOffsets(Map.of(none, OffsetSpec.latest()), options).partitionResult(none));
        });
    }

    private long offset(OffsetSpec spec) throws Exception {
        return Check.get(admin.listOffsets(Map.of(FIRST, spec)).partitionResult(FIRST)).offset();
    }

    private void deleteRecords() throws Exception {
        Check.equal(4L, deleteBefore(4), "low watermark");
        Check.equal(4L, offset(OffsetSpec.earliest()), "earliest after deletion");
        Check.fails(OffsetOutOfRangeException.class, () -> deleteBefore(11));
        // -1 is the high watermark.
        Check.equal(10L, deleteBefore(-1), "low watermark at the end");
        Check.equal(10L, offset(OffsetSpec.earliest()), "earliest after deletion of all");
    }

    private long deleteBefore(long offset) throws Exception {
        var deleted = admin.deleteRecords(Map.of(FIRST, RecordsToDelete.beforeOffset(offset)));
        return Check.get(deleted.lowWatermarks().get(FIRST)).lowWatermark();
    }

    private void describeLogDirs(int node) throws Exception {
        var dirs = Check.get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node);
        Check.equal(1, dirs.size(), "log directories");
        var dir = dirs.values().iterator().next();
        Check.that(dir.error() == null, "no error: " + dir.error());
        Check.that(dir.totalBytes().orElse(-1) > 0 && dir.usableBytes().orElse(-1) > 0, "the volume's size is reported");
        Check.that(dir.replicaInfos().get(FIRST).size() > 0, "the partition's size is reported");
        Check.equal(0L, dir.replicaInfos().get(new TopicPartition(TOPIC, 1)).size(), "size of an empty partition");
    }

    private void groups() throws Exception {
        Check.fails(GroupIdNotFoundException.class,
                () -> Check.get(admin.describeConsumerGroups(List.of("none")).all()));
        try (var consumer = new KafkaConsumer<>(
                Map.<String, Object>of("bootstrap.servers", bootstrap, "group.id", GROUP, "client.id", "reader",
                        "enable.auto.commit", "false"),
                new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(TOPIC));
            Check.eventually("an assignment", () -> {
                consumer.poll(java.time.Duration.ofMillis(100));
                return consumer.assignment().size() == 2;
            });
            consumer.commitSync(Map.of(FIRST, new OffsetAndMetadata(10, "ten")));
            var group = Check.get(admin.describeConsumerGroups(List.of(GROUP)).all()).get(GROUP);
            Check.equal(GroupState.STABLE, group.groupState(), "state");
            Check.equal("range", group.partitionAssignor(), "assignor");
            Check.equal(1, group.members().size(), "members");
            var member = group.members().iterator().next();
            Check.equal("reader", member.clientId(), "client id");
            Check.that(member.host().startsWith("/"), "host " + member.host());
            Check.equal(consumer.assignment(), member.assignment().topicPartitions(), "assignment");
            Check.fails(GroupNotEmptyException.class,
                    () -> Check.get(admin.deleteConsumerGroups(List.of(GROUP)).all()));
        }
        var group = Check.get(admin.describeConsumerGroups(List.of(GROUP)).all()).get(GROUP);
        Check.equal(GroupState.EMPTY, group.groupState(), "state without members");
        var listed = Check.get(admin.listGroups().all()).stream().filter(each -> each.groupId().equals(GROUP)).toList();
        Check.equal(1, listed.size(), "times the group is listed");
        Check.equal("consumer", listed.get(0).protocol(), "protocol type");
        Check.equal(Optional.of(GroupState.EMPTY), listed.get(0).groupState(), "state listed");

        Check.equal(Map.of(FIRST, new OffsetAndMetadata(10, Optional.empty(), "ten")), committed(), "committed");
        TopicPartition second = new TopicPartition(TOPIC, 1);
        Check.get(admin.alterConsumerGroupOffsets(GROUP, Map.of(second, new OffsetAndMetadata(0))).all());
        Check.equal(Set.of(FIRST, second), committed().keySet(), "partitions committed");
        Check.get(admin.deleteConsumerGroupOffsets(GROUP, Set.of(FIRST)).all());
        Check.equal(Set.of(second), committed().keySet(), "partitions committed after deletion of one");
        Check.get(admin.deleteConsumerGroups(List.of(GROUP)).all());
        Check.fails(GroupIdNotFoundException.class,
                () -> Check.get(admin.describeConsumerGroups(List.of(GROUP)).all()));
    }

    /** Returns the group's committed offsets, without leader epochs. */
    private Map<TopicPartition, OffsetAndMetadata> committed() throws Exception {
        Map<TopicPartition, OffsetAndMetadata> committed = new HashMap<>();
        var found = Check.get(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata());
        found.forEach((partition, offset) ->
                committed.put(partition, new OffsetAndMetadata(offset.offset(), Optional.empty(), offset.metadata())));
        return committed;
    }

    private void createPartitions() throws Exception {
        Check.get(admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(5))).all());
        var topic = Check.get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC);
        var indexes = topic.partitions().stream().map(partition -> partition.partition()).collect(Collectors.toList());
        Check.equal(List.of(0, 1, 2, 3, 4), indexes, "partitions");
        Check.fails(InvalidPartitionsException.class,
                () -> Check.get(admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(4))).all()));
    }

    private void deleteTopics(Uuid id) throws Exception {
        Check.get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        Check.get(admin.deleteTopics(List.of("by-default", "manual")).all());
        Check.that(Check.get(admin.listTopics().names()).isEmpty(), "no topic is left");
        Check.fails(UnknownTopicOrPartitionException.class,
                () -> Check.get(admin.deleteTopics(List.of(TOPIC)).all()));
        // Created again at once, it is another topic.
        create(new NewTopic(TOPIC, 1, (short) 1));
        var again = Check.get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC);
        Check.that(!again.topicId().equals(id), "a new id");
        Check.equal(0L, offset(OffsetSpec.latest()), "a new topic is empty");
    }
}
