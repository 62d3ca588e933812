import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Scanner;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Says what Java's assignors decide: a case a line on standard input, the case and its answer a line on standard output.
 * A case is {@code strategy topics members}: topics as {@code name:racks,racks/racks;...} with a rack list for each partition,
 * members as {@code id,instance,hex of the subscription;...}. Run it with kafka-clients on the class path.
 */
public final class Assignors {
    private Assignors() { }

    public static void main(String[] args) {
        Scanner lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            String line = lines.nextLine().split(" => ")[0];
            String answer;
            try {
                answer = answer(line.split(" ", -1));
            } catch (RuntimeException failure) {
                answer = "!" + failure.getClass().getSimpleName();
            }
            System.out.println(line + " => " + answer);
        }
    }

    private static String answer(String[] parts) {
        ConsumerPartitionAssignor assignor = switch (parts[0]) {
            case "range" -> new RangeAssignor();
            case "roundrobin" -> new RoundRobinAssignor();
            case "sticky" -> new StickyAssignor();
            default -> new CooperativeStickyAssignor();
        };
        List<PartitionInfo> infos = new ArrayList<>();
        for (String topic : parts[1].split(";")) {
            String[] named = topic.split(":", -1);
            if (named.length < 2 || named[1].isEmpty()) {
                continue;
            }
            String[] partitions = named[1].split(",", -1);
            for (int at = 0; at < partitions.length; at++) {
                List<Node> replicas = new ArrayList<>();
                for (String rack : partitions[at].split("/")) {
                    if (!rack.equals("-")) {
                        replicas.add(new Node(rack.hashCode(), "h", 1, rack));
                    }
                }
                Node[] nodes = replicas.toArray(new Node[0]);
                infos.add(new PartitionInfo(named[0], at, Node.noNode(), nodes, nodes));
            }
        }
        Map<String, ConsumerPartitionAssignor.Subscription> members = new HashMap<>();
        List<String> ids = new ArrayList<>();
        for (String member : parts[2].split(";")) {
            String[] named = member.split(",", -1);
            ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(named[2]));
            ConsumerPartitionAssignor.Subscription said = ConsumerProtocol.deserializeSubscription(bytes);
            byte[] again = new byte[bytes.capacity()];
            ConsumerProtocol.serializeSubscription(said).get(again);
            if (!HexFormat.of().formatHex(again).equals(named[2])) {
                throw new IllegalStateException("bytes differ");
            }
            said.setGroupInstanceId(named[1].isEmpty() ? Optional.empty() : Optional.of(named[1]));
            members.put(named[0], said);
            ids.add(named[0]);
        }
        Cluster cluster = new Cluster("c", List.of(), infos, Set.of(), Set.of());
        Map<String, ConsumerPartitionAssignor.Assignment> decided =
            assignor.assign(cluster, new ConsumerPartitionAssignor.GroupSubscription(members)).groupAssignment();
        List<String> lists = new ArrayList<>();
        for (String id : ids) {
            List<String> list = new ArrayList<>();
            for (TopicPartition partition : decided.get(id).partitions()) {
                list.add(partition.toString());
            }
            Collections.sort(list);
            lists.add(String.join(",", list));
        }
        return String.join(";", lists);
    }
}
