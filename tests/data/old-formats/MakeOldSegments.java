import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

/** Writes segments as brokers before 0.11 held them; see README.md. */
public class MakeOldSegments {
    static final long FIRST = 1_700_000_000_000L;
    static final CompressionType[] CODECS =
        {CompressionType.NONE, CompressionType.GZIP, CompressionType.SNAPPY, CompressionType.LZ4};

    final OutputStream out;
    long offset;

    MakeOldSegments(Path folder, long base) throws IOException {
        out = Files.newOutputStream(folder.resolve(String.format("%020d.log", base)));
        offset = base;
    }

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        MakeOldSegments v0 = new MakeOldSegments(folder, 0);
        for (CompressionType codec : CODECS) v0.records(RecordBatch.MAGIC_VALUE_V0, codec, TimestampType.CREATE_TIME);
        v0.out.close();
        MakeOldSegments v1 = new MakeOldSegments(folder, v0.offset);
        for (CompressionType codec : CODECS) v1.records(RecordBatch.MAGIC_VALUE_V1, codec, TimestampType.CREATE_TIME);
        for (CompressionType codec : CODECS) v1.records(RecordBatch.MAGIC_VALUE_V1, codec, TimestampType.LOG_APPEND_TIME);
        v1.out.close();
        MakeOldSegments mixed = new MakeOldSegments(folder, v1.offset);
        for (byte magic : new byte[] {RecordBatch.MAGIC_VALUE_V0, RecordBatch.MAGIC_VALUE_V1, RecordBatch.MAGIC_VALUE_V2})
            for (CompressionType codec : CODECS) mixed.records(magic, codec, TimestampType.CREATE_TIME);
        // What compaction leaves: gaps before, between and inside of batches.
        mixed.offset += 7;
        mixed.records(RecordBatch.MAGIC_VALUE_V1, CompressionType.GZIP, TimestampType.CREATE_TIME, 0, 3, 4);
        mixed.records(RecordBatch.MAGIC_VALUE_V1, CompressionType.NONE, TimestampType.CREATE_TIME, 1, 5, 6);
        mixed.out.close();
    }

    void records(byte magic, CompressionType codec, TimestampType type) throws IOException {
        records(magic, codec, type, 0, 1, 2);
    }

    /** Three records at these places from the next offset on: with both, without a key, without a value. */
    void records(byte magic, CompressionType codec, TimestampType type, int... places) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(4096);
        long base = offset + places[0];
        MemoryRecordsBuilder builder = MemoryRecords.builder(
            buffer, magic, Compression.of(codec).build(), type, base, FIRST + 10 * offset + 5);
        for (int index = 0; index < places.length; index++) {
            long at = offset + places[index];
            byte[] key = index == 1 ? null : ("key " + at).getBytes(StandardCharsets.UTF_8);
            byte[] value = index == 2 ? null : ("value " + at + " ".repeat(40) + "end").getBytes(StandardCharsets.UTF_8);
            // The second is the latest.
            builder.appendWithOffset(at, FIRST + 10 * offset + (index == 1 ? 9 : index), key, value);
        }
        offset += places[places.length - 1] + 1;
        MemoryRecords records = builder.build();
        ByteBuffer bytes = records.buffer();
        byte[] written = new byte[bytes.remaining()];
        bytes.get(written);
        out.write(written);
    }
}
