import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.SecurityDisabledException;

/** Sends the requests that Kafka UI sends to a cluster at its start, with Kafka UI's variables. Each argument must be a topic. */
public final class KafkaUi {
    public static void main(String[] args) throws Exception {
        String servers = System.getenv("KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
            DescribeClusterResult cluster =
                admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
            Collection<Node> nodes = get(cluster.nodes());
            require(nodes.size() == 1 && get(cluster.controller()) != null, "a cluster of one node");
            String node = nodes.iterator().next().idString();
            ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, node);
            require(get(admin.describeConfigs(List.of(broker)).all()).get(broker).get("log.dirs") != null, "settings");
            get(admin.describeFeatures().featureMetadata());
            require(aclsAreOff(admin), "a cluster without an authorizer");
            topics(admin, args);
            get(admin.describeLogDirs(nodes.stream().map(Node::id).toList()).allDescriptions());
            List<String> groups =
                get(admin.listConsumerGroups().all()).stream().map(ConsumerGroupListing::groupId).toList();
            get(admin.describeConsumerGroups(groups).all());
        }
        System.out.println("all requests of Kafka UI succeeded");
    }

    private static void topics(Admin admin, String[] expected) throws Exception {
        Set<String> names = get(admin.listTopics().names());
        require(names.containsAll(List.of(expected)), "the topics " + List.of(expected) + " in " + names);
        var topics = get(admin.describeTopics(names).allTopicNames()).values();
        var partitions = topics.stream()
            .flatMap(topic -> topic.partitions().stream().map(each -> new TopicPartition(topic.name(), each.partition())))
            .toList();
        for (OffsetSpec end : List.of(OffsetSpec.earliest(), OffsetSpec.latest())) {
            get(admin.listOffsets(partitions.stream().collect(Collectors.toMap(each -> each, each -> end))).all());
        }
        var resources = names.stream().map(name -> new ConfigResource(ConfigResource.Type.TOPIC, name)).toList();
        get(admin.describeConfigs(resources).all());
    }

    /** In this case Kafka UI hides its page of ACLs. */
    private static boolean aclsAreOff(Admin admin) throws Exception {
        try {
            get(admin.describeAcls(AclBindingFilter.ANY).values());
            return false;
        } catch (ExecutionException failure) {
            return failure.getCause() instanceof SecurityDisabledException;
        }
    }

    private static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(60, TimeUnit.SECONDS);
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("missing: " + what);
        }
    }
}
