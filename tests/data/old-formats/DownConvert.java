import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MutableRecordBatch;

import org.apache.kafka.common.utils.Time;

/** What old consumers get of the segments that MakeOldSegments wrote; see README.md. */
public class DownConvert {
    public static void main(String[] arguments) throws Exception {
        long[][] asked = {{12, 0}, {12, 13}, {36, 0}, {36, 49}};
        for (byte magic = 0; magic < 2; magic++)
            for (long[] segmentAndFirst : asked)
                print(Path.of(arguments[0]), segmentAndFirst[0], magic, segmentAndFirst[1]);
    }

    static void print(Path folder, long base, byte magic, long first) throws Exception {
        byte[] bytes = Files.readAllBytes(folder.resolve(String.format("%020d.log", base)));
        MemoryRecords stored = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        System.out.println("segment " + base + " to magic " + magic + " from " + first);
        MemoryRecords converted = (MemoryRecords) stored.downConvert(magic, first, Time.SYSTEM).records();
        for (MutableRecordBatch batch : converted.batches()) {
            StringBuilder line = new StringBuilder(
                "  magic " + batch.magic() + " " + batch.compressionType().name + " to " + batch.lastOffset()
                + " " + batch.timestampType().name + " " + batch.maxTimestamp());
            // Compressed bytes are the compressor's choice, and so their checksum.
            if (batch.compressionType() == CompressionType.NONE) line.append(" crc " + batch.checksum());
            for (org.apache.kafka.common.record.Record record : batch) line.append(" | " + record.offset() + " " + record.timestamp()
                + " " + record.keySize() + " " + record.valueSize());
            System.out.println(line);
        }
    }
}
