package io.github.ottla.junit;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.SecureRandom;

/** Files of brokers in the temporary directory. */
final class Directories {
    private static final SecureRandom RANDOM = new SecureRandom();

    private Directories() {}

    /** Returns a path that does not exist and that nobody else can guess. The broker creates it. */
    static Path unused() {
        StringBuilder name = new StringBuilder("ottla-");
        byte[] bytes = new byte[12];
        RANDOM.nextBytes(bytes);
        for (byte part : bytes) {
            name.append(String.format("%02x", part));
        }
        return Path.of(System.getProperty("java.io.tmpdir"), name.toString());
    }

    /** Removes a file or directory, if it exists. Symbolic links are not followed. */
    static void delete(Path path) {
        if (!Files.exists(path)) {
            return;
        }
        try {
            Files.walkFileTree(path, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                    Files.deleteIfExists(file);
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult postVisitDirectory(Path directory, IOException error) throws IOException {
                    Files.deleteIfExists(directory);
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (IOException error) {
            throw new java.io.UncheckedIOException("cannot remove " + path, error);
        }
    }
}
