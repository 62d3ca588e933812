import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;

/**
 * The list of checks with Java's clients: {@code Matrix --bootstrap HOST:PORT --name UNIQUE [--only CHECK,...]}. Prints one line of JSON a
 * check; the exit code is 0 if none failed. It compiles against every release of kafka-clients since 3.9.
 */
public final class Matrix {
    interface Check {
        void run() throws Exception;
    }

    /** Thrown by a check that this client cannot do. */
    static final class Skipped extends RuntimeException {
        private static final long serialVersionUID = 1;

        Skipped(String why) {
            super(why);
        }
    }

    private final List<String> only = new ArrayList<>();
    private int failed;

    public static void main(String[] args) throws Exception {
        String bootstrap = "";
        String name = "";
        Matrix matrix = new Matrix();
        for (int i = 0; i + 1 < args.length; i += 2) {
            switch (args[i]) {
                case "--bootstrap" -> bootstrap = args[i + 1];
                case "--name" -> name = args[i + 1];
                case "--only" -> matrix.only.addAll(List.of(args[i + 1].split(",")));
                default -> throw new IllegalArgumentException(args[i]);
            }
        }
        try (Session session = new Session(bootstrap, name)) {
            matrix.all(session);
        }
        System.exit(matrix.failed == 0 ? 0 : 1);
    }

    private void all(Session session) {
        AdminChecks admin = new AdminChecks(session);
        ProduceChecks produce = new ProduceChecks(session);
        TransactionChecks transactions = new TransactionChecks(session);
        check("create_topic", admin::createTopic);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            check("produce_" + codec, () -> produce.codec(codec));
        }
        check("idempotent", produce::idempotent);
        check("transactional", transactions::transactional);
        check("read_committed", transactions::readCommitted);
        for (String protocol : List.of("classic", "consumer")) {
            GroupChecks groups = new GroupChecks(session, protocol);
            check("group_rebalance_" + protocol, groups::rebalance);
            check("group_resume_" + protocol, groups::resume);
            check("groups_described_" + protocol, groups::described);
            check("transform_" + protocol, () -> transactions.transform(protocol));
        }
        check("offsets_by_time", admin::offsetsByTime);
        check("configs", admin::configs);
        check("delete_records", admin::deleteRecords);
        check("streams_exactly_once", () -> new StreamsCheck(session).run());
    }

    private void check(String name, Check check) {
        if (!only.isEmpty() && !only.contains(name)) {
            return;
        }
        String outcome = "\"ok\":true";
        try {
            check.run();
        } catch (Skipped skipped) {
            outcome = "\"skipped\":" + quoted(skipped.getMessage());
        } catch (Exception | AssertionError error) {
            failed += 1;
            Throwable cause = error instanceof ExecutionException && error.getCause() != null ? error.getCause() : error;
            outcome = "\"ok\":false,\"error\":" + quoted(cause.toString());
        }
        System.out.println("{\"check\":" + quoted(name) + "," + outcome + "}");
    }

    static void ensure(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    static void same(Object expected, Object found, String what) {
        ensure(expected.equals(found), what + ": " + found + " instead of " + expected);
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            switch (letter) {
                case '"', '\\' -> out.append('\\').append(letter);
                default -> out.append(letter < ' ' ? ' ' : letter);
            }
        }
        return out.append('"').toString();
    }
}
