import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's own command-line tools, one transcript after the other: {@code RunTools --bootstrap HOST:PORT --name UNIQUE --only NAME,... --transcripts DIR}.
 *
 * <p>A transcript {@code NAME.txt} is lines of {@code $ tool arguments}, each followed by what the tool prints on real Kafka; {@code @ step} lines
 * are done by {@link Steps}. With {@code UPDATE} in the environment what is printed now is written instead of compared. What differs from run
 * to run is replaced before: see {@link #normalised}.
 */
public final class RunTools {
    private static final Map<String, String> TOOLS = Map.of(
            "kafka-acls", "org.apache.kafka.tools.AclCommand",
            "kafka-configs", "kafka.admin.ConfigCommand",
            "kafka-consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            "kafka-get-offsets", "org.apache.kafka.tools.GetOffsetShell",
            "kafka-topics", "org.apache.kafka.tools.TopicCommand",
            "kafka-transactions", "org.apache.kafka.tools.TransactionsCommand");

    private static final class Ended extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    /** What the tool that runs has said to {@link Exit} first. */
    private static Integer exited;

    private final String bootstrap;
    private final String name;

    private RunTools(String bootstrap, String name) {
        this.bootstrap = bootstrap;
        this.name = name;
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new java.util.HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
        Exit.setExitProcedure((code, message) -> {
            if (message != null) {
                System.err.println(message);
            }
            // A tool that catches everything would catch this too, tell of it and exit again.
            System.setOut(new PrintStream(PrintStream.nullOutputStream()));
            System.setErr(System.out);
            exited = exited == null ? code : exited;
            throw new Ended();
        });
        PrintStream lines = System.out;
        boolean failed = false;
        for (String check : options.get("--only").split(",")) {
            Path file = Path.of(options.get("--transcripts"), check + ".txt");
            List<String> expected = Files.readAllLines(file);
            String prefix = options.get("--name") + "-" + check;
            List<String> found = new RunTools(options.get("--bootstrap"), prefix).replay(expected);
            if (System.getenv("UPDATE") != null) {
                Files.write(file, found);
            }
            String outcome = System.getenv("UPDATE") != null ? null : difference(expected, found);
            failed |= outcome != null;
            lines.println("{\"check\":\"" + check + "\"," + (outcome == null ? "\"ok\":true" : "\"ok\":false,\"error\":" + quoted(outcome)) + "}");
        }
        Runtime.getRuntime().halt(failed ? 1 : 0);
    }

    private List<String> replay(List<String> transcript) {
        List<String> found = new ArrayList<>();
        try (Steps steps = new Steps(bootstrap)) {
            for (String line : transcript) {
                if (line.startsWith("# ")) {
                    found.add(line);
                } else if (line.startsWith("$ ") || line.startsWith("@ ")) {
                    found.add(line);
                    String[] words = line.substring(2).replace("NAME", name).split(" ");
                    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                    PrintStream before = System.out;
                    PrintStream output = new PrintStream(bytes, true, StandardCharsets.UTF_8);
                    System.setOut(output);
                    System.setErr(output);
                    int code = line.startsWith("$ ") ? tool(words) : steps.run(words);
                    System.setOut(before);
                    normalised(bytes.toString(StandardCharsets.UTF_8)).forEach(found::add);
                    if (code != 0) {
                        found.add("[exit " + code + "]");
                    }
                }
            }
        }
        return found;
    }

    private int tool(String[] words) {
        List<String> arguments = new ArrayList<>(List.of("--bootstrap-server", bootstrap));
        arguments.addAll(List.of(words).subList(1, words.length));
        exited = null;
        try {
            Class.forName(TOOLS.get(words[0])).getMethod("main", String[].class).invoke(null, (Object) arguments.toArray(new String[0]));
        } catch (java.lang.reflect.InvocationTargetException error) {
            if (exited == null) {
                System.out.println(error.getCause());
                return 1;
            }
        } catch (ReflectiveOperationException error) {
            System.out.println(error);
            return 1;
        }
        return exited == null ? 0 : exited;
    }

    /**
     * Names, addresses, ids, times and the widths of columns are of this run; stack traces and empty lines say nothing. A new cluster of Kafka
     * has eligible leader replicas (KIP-966) and for their sake a dynamic min.insync.replicas, which one node has no use for.
     */
    private List<String> normalised(String text) {
        List<String> lines = new ArrayList<>();
        for (String line : text.replace(bootstrap, "HOST:PORT").replace(name, "NAME").split("\n")) {
            if (line.isBlank() || line.startsWith("\tat ") || line.startsWith("\t... ")) {
                continue;
            }
            lines.add(line.replaceAll("[ \t]+", " ").strip()
                    .replaceAll("TopicId: [A-Za-z0-9_-]{22}", "TopicId: ID")
                    .replaceAll("127\\.0\\.0\\.1:\\d+", "HOST:PORT")
                    .replaceAll("steps-[0-9a-f-]{36}|[A-Za-z0-9_-]{22} (?=/HOST|/127)", "MEMBER ").replaceAll(" +", " ")
                    .replace("DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1, ", "")
                    .replaceAll("Configs: min.insync.replicas=1,?", "Configs: ").replaceAll(" +", " ").strip()
                    .replaceAll("\\b\\d{13}\\b", "TIME")
                    .replaceAll("^(1 NAME-id )\\d+( .* TIME )\\d+ ", "$1PRODUCER$2AGE ")
                    .replaceAll("^\\d+ (?=\\d+ -1 )", "PRODUCER "));
        }
        // Kafka tells rules in the order of a hash table.
        for (int from = 0; from < lines.size(); from++) {
            int to = from;
            while (to < lines.size() && lines.get(to).startsWith("(principal=")) {
                to++;
            }
            lines.subList(from, to).sort(null);
            from = to;
        }
        return lines;
    }

    private static String difference(List<String> expected, List<String> found) {
        for (int i = 0; i < Math.max(expected.size(), found.size()); i++) {
            String wanted = i < expected.size() ? expected.get(i) : "nothing";
            String got = i < found.size() ? found.get(i) : "nothing";
            if (!wanted.equals(got)) {
                int command = Math.min(i, expected.size() - 1);
                while (command > 0 && !expected.get(command).startsWith("$ ")) {
                    command -= 1;
                }
                return "after `" + expected.get(command) + "`: `" + got + "` instead of `" + wanted + "`";
            }
        }
        return null;
    }

    private static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ").replace("\t", " ") + "\"";
    }
}
