import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.source.ExactlyOnceSupport;
import org.apache.kafka.connect.source.SourceConnector;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTask;

/** A source whose tasks count up: each record's key is the task, its value the next number. */
public final class CounterConnector extends SourceConnector {
    private Map<String, String> settings;

    @Override
    public void start(Map<String, String> settings) {
        this.settings = settings;
    }

    @Override
    public void stop() {
    }

    @Override
    public Class<? extends Task> taskClass() {
        return Counter.class;
    }

    @Override
    public List<Map<String, String>> taskConfigs(int count) {
        List<Map<String, String>> configs = new ArrayList<>();
        for (int task = 0; task < count; task++) {
            Map<String, String> config = new HashMap<>(settings);
            config.put("task", Integer.toString(task));
            configs.add(config);
        }
        return configs;
    }

    @Override
    public ConfigDef config() {
        ConfigDef config = new ConfigDef();
        config.define("topic", ConfigDef.Type.STRING, ConfigDef.Importance.HIGH, "The topic to write to.");
        config.define("limit", ConfigDef.Type.INT, ConfigDef.Importance.HIGH, "How far each task counts.");
        return config;
    }

    @Override
    public ExactlyOnceSupport exactlyOnceSupport(Map<String, String> settings) {
        return ExactlyOnceSupport.SUPPORTED;
    }

    @Override
    public String version() {
        return "1";
    }

    public static final class Counter extends SourceTask {
        private static final int BATCH = 5;

        private Map<String, String> settings;
        private Map<String, String> partition;
        private long next;

        @Override
        public void start(Map<String, String> settings) {
            this.settings = settings;
            partition = Collections.singletonMap("task", settings.get("task"));
            Map<String, Object> offset = context.offsetStorageReader().offset(partition);
            next = offset == null ? 0 : (Long) offset.get("next");
        }

        @Override
        public List<SourceRecord> poll() throws InterruptedException {
            long end = Math.min(next + BATCH, Long.parseLong(settings.get("limit")));
            if (next == end) {
                Thread.sleep(50);
                return null;
            }
            List<SourceRecord> records = new ArrayList<>();
            while (next < end) {
                Map<String, Long> offset = Collections.singletonMap("next", next + 1);
                records.add(new SourceRecord(partition, offset, settings.get("topic"), null, Schema.STRING_SCHEMA,
                        settings.get("task"), Schema.STRING_SCHEMA, Long.toString(next)));
                next++;
            }
            return records;
        }

        @Override
        public void stop() {
        }

        @Override
        public String version() {
            return "1";
        }
    }
}
