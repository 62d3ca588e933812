"""The list of checks with confluent-kafka, that is librdkafka."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from confluent_kafka import (  # noqa: E402
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # noqa: E402
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

import matrix  # noqa: E402
from matrix import same, until, values  # noqa: E402

args = matrix.arguments()
admin = AdminClient({"bootstrap.servers": args.bootstrap})


def answer(futures):
    """The one answer of an admin call about one thing."""
    (future,) = futures.values()
    return future.result(30)


def topic(what, partitions=1, config=None):
    name = f"{args.name}-{what}"
    answer(admin.create_topics([NewTopic(name, partitions, 1, config=config or {})]))
    return name


def producer(**settings):
    settings = {name.replace("_", "."): value for name, value in settings.items()}
    return Producer({"bootstrap.servers": args.bootstrap, "message.timeout.ms": 30000} | settings)


def send(client, name, records, **where):
    """Sends and waits for every acknowledgement."""
    errors = []
    for record in records:
        client.produce(name, record, key=record[-8:], on_delivery=lambda error, _: errors.append(error), **where)
    client.flush(30)
    same([None] * len(records), errors, "acknowledgements")


def fill(name, records):
    send(producer(), name, records, partition=0)


def consumer(**settings):
    settings = {name.replace("_", "."): value for name, value in settings.items()}
    base = {
        "bootstrap.servers": args.bootstrap,
        "group.id": f"{args.name}-reader",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    return Consumer(base | settings)


def member(group, protocol):
    return consumer(group_id=f"{args.name}-{group}-{protocol}", group_protocol=protocol)


def everything(name, partitions=1, isolation="read_committed"):
    """(partition, value) of all records, each partition in its order, up to where this isolation level ends."""
    client = consumer(isolation_level=isolation)
    client.assign([TopicPartition(name, number, 0) for number in range(partitions)])
    records, ended = [], set()

    def all_ended():
        message = client.poll(1)
        if message is None:
            return False
        if message.error() is None:
            records.append((message.partition(), message.value().decode()))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            raise KafkaException(message.error())
        return len(ended) == partitions

    until("reading to the end", all_ended)
    client.close()
    return records


def all_values(name, isolation="read_committed"):
    return [value for _, value in everything(name, isolation=isolation)]


def described(name):
    try:
        return answer(admin.describe_topics(TopicCollection([name])))
    except KafkaException as error:
        same(KafkaError.UNKNOWN_TOPIC_OR_PART, error.args[0].code(), "not described yet")
        return None


def create_topic():
    name = topic("created", 3, {"retention.ms": "3600000"})
    # A broker learns of a new topic a moment after the controller has acknowledged it.
    found = until("described", lambda: described(name))
    same(3, len(found.partitions), "partitions")
    assert name in admin.list_topics(timeout=10).topics, "not listed"
    try:
        topic("created", 3)
    except KafkaException as error:
        same(KafkaError.TOPIC_ALREADY_EXISTS, error.args[0].code(), "created again")
    else:
        raise AssertionError("created twice")


def produce(codec):
    name = topic(codec)
    send(producer(compression_type=codec, linger_ms=20), name, values(matrix.LONG, 100))
    same(values(matrix.LONG, 100), all_values(name), "what was read")


def idempotent():
    name = topic("idempotent", 3)
    client = producer(enable_idempotence=True, batch_size=200, linger_ms=0)
    for number in range(600):
        client.produce(name, str(number), partition=number % 3)
        if number == 2:
            # A broker that does not know the new topic yet may refuse the first batch of a producer and take the second.
            client.flush(30)
    same(0, client.flush(30), "not sent")
    records = everything(name, 3)
    for partition in range(3):
        found = [int(value) for where, value in records if where == partition]
        same(list(range(partition, 600, 3)), found, f"partition {partition}")


def transactional():
    name = topic("transactional")
    client = producer(transactional_id=f"{args.name}-transactional")
    client.init_transactions(30)
    for prefix, end in [("first", client.commit_transaction), ("aborted", client.abort_transaction), ("last", client.commit_transaction)]:
        client.begin_transaction()
        send(client, name, values(prefix, 10))
        end(30)
    client.begin_transaction()
    send(client, name, values("zombie", 1))
    second = producer(transactional_id=f"{args.name}-transactional")
    second.init_transactions(30)
    try:
        client.commit_transaction(30)
    except KafkaException as error:
        same(KafkaError._FENCED, error.args[0].code(), "the end of a fenced transaction")
    else:
        raise AssertionError("a fenced producer committed")


def read_committed():
    name = f"{args.name}-transactional"
    same(values("first", 10) + values("last", 10), all_values(name), "read_committed")
    whole = values("first", 10) + values("aborted", 10) + values("last", 10) + ["zombie0"]
    same(whole, all_values(name, "read_uncommitted"), "read_uncommitted")


def transform(protocol):
    source, target = topic(f"transform-from-{protocol}"), topic(f"transform-to-{protocol}")
    fill(source, values("v", 20))
    reader = member("transform", protocol)
    reader.subscribe([source])
    writer = producer(transactional_id=f"{args.name}-transform-{protocol}")
    writer.init_transactions(30)
    state = {"transactions": 0, "done": 0}

    def copied():
        messages = [message for message in reader.consume(5, 1) if message.error() is None]
        if not messages:
            return False
        writer.begin_transaction()
        send(writer, target, [f"copy of {message.value().decode()}" for message in messages])
        offset = TopicPartition(source, 0, messages[-1].offset() + 1)
        writer.send_offsets_to_transaction([offset], reader.consumer_group_metadata(), 30)
        state["transactions"] += 1
        if state["transactions"] == 2:
            writer.abort_transaction(30)
            reader.seek(TopicPartition(source, 0, messages[0].offset()))
        else:
            writer.commit_transaction(30)
            state["done"] += len(messages)
        return state["done"] >= 20

    until("all transformed", copied)
    same(20, reader.committed([TopicPartition(source, 0)], 10)[0].offset, "the committed offset")
    reader.close()
    same(values("copy of v", 20), all_values(target), "what was written")
    assert len(all_values(target, "read_uncommitted")) > 20, "the aborted copies are in the log"


def seen_by(reader, seen):
    """How many partitions the member has, after a short poll."""
    message = reader.poll(0.1)
    if message is not None and message.error() is None:
        seen.add(message.value().decode())
    return len(reader.assignment())


def group_rebalance(protocol):
    name, seen = topic(f"rebalance-{protocol}", 4), set()
    for partition in range(4):
        send(producer(), name, [f"p{partition}"], partition=partition)
    first, second = member("rebalance", protocol), member("rebalance", protocol)
    first.subscribe([name])
    until("the first member has all", lambda: seen_by(first, seen) == 4)
    second.subscribe([name])
    until("two members share", lambda: [seen_by(first, seen), seen_by(second, seen)] == [2, 2])
    both = {place.partition for place in first.assignment() + second.assignment()}
    same(4, len(both), "partitions that somebody has")
    second.close()
    until("the first member has all again", lambda: seen_by(first, seen) == 4 and len(seen) == 4)
    first.close()


def group_resume(protocol):
    name, seen = topic(f"resume-{protocol}"), set()
    fill(name, values("v", 20))
    reader = member("resume", protocol)
    reader.subscribe([name])
    until("20 records", lambda: seen_by(reader, seen) == 1 and len(seen) == 20)
    committed = TopicPartition(name, 0, 10, metadata="half")
    reader.commit(offsets=[committed], asynchronous=False)
    reader.close()
    group = ConsumerGroupTopicPartitions(f"{args.name}-resume-{protocol}", [TopicPartition(name, 0)])
    (found,) = answer(admin.list_consumer_group_offsets([group])).topic_partitions
    same((10, "half"), (found.offset, found.metadata), "committed")
    reader, seen = member("resume", protocol), set()
    reader.subscribe([name])
    until("the other ten", lambda: seen_by(reader, seen) == 1 and len(seen) >= 10)
    same(set(values("v", 20)[10:]), seen, "resumed with")
    reader.close()


def groups_described(protocol):
    name, group = topic(f"described-{protocol}", 2), f"{args.name}-described-{protocol}"
    reader = member("described", protocol)
    reader.subscribe([name])
    until("assigned", lambda: seen_by(reader, set()) == 2)
    reader.commit(offsets=[TopicPartition(name, 0, 0)], asynchronous=False)
    found = answer(admin.describe_consumer_groups([group]))
    same("STABLE", found.state.name, "state")
    same([reader.memberid()], [one.member_id for one in found.members], "members")
    assigned = {place.partition for place in found.members[0].assignment.topic_partitions}
    same({0, 1}, assigned, "assignment")
    listed = admin.list_consumer_groups().result(30).valid
    same([protocol.upper()], [one.type.name for one in listed if one.group_id == group], "listed as")
    reader.close()
    same("EMPTY", answer(admin.describe_consumer_groups([group])).state.name, "state when all left")
    answer(admin.delete_consumer_groups([group]))
    assert group not in [found.group_id for found in admin.list_consumer_groups().result(30).valid], "still listed"


def offset(name, spec):
    return answer(admin.list_offsets({TopicPartition(name, 0): spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED))


def offsets_by_time():
    name, base = topic("times"), int(time.time() * 1000) - 100_000
    client = producer()
    for number in range(10):
        client.produce(name, f"v{number}", partition=0, timestamp=base + number * 1000)
        same(0, client.flush(30), "not sent")
    same(0, offset(name, OffsetSpec.earliest()).offset, "earliest")
    same(10, offset(name, OffsetSpec.latest()).offset, "latest")
    exact = offset(name, OffsetSpec.for_timestamp(base + 5000))
    same((5, base + 5000), (exact.offset, exact.timestamp), "at an exact time")
    same(6, offset(name, OffsetSpec.for_timestamp(base + 5001)).offset, "between two times")
    same(-1, offset(name, OffsetSpec.for_timestamp(base + 60_000)).offset, "after all")
    same(9, offset(name, OffsetSpec.max_timestamp()).offset, "the largest time")


def configs():
    name = topic("configs")

    def becomes(value, source):
        def holds():
            found = answer(admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]))["retention.ms"]
            return (found.value, found.source) == (value, source.value)

        until(f"{value} from {source.name}", holds)

    def alter(operation):
        entry = ConfigEntry("retention.ms", "7200000", incremental_operation=operation)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        answer(admin.incremental_alter_configs([resource]))

    becomes("604800000", ConfigSource.DEFAULT_CONFIG)
    alter(AlterConfigOpType.SET)
    becomes("7200000", ConfigSource.DYNAMIC_TOPIC_CONFIG)
    alter(AlterConfigOpType.DELETE)
    becomes("604800000", ConfigSource.DEFAULT_CONFIG)


def delete_records():
    name = topic("deleted")
    fill(name, values("v", 10))
    same(5, answer(admin.delete_records([TopicPartition(name, 0, 5)])).low_watermark, "low watermark")
    same(5, offset(name, OffsetSpec.earliest()).offset, "earliest")
    client = consumer()
    same((5, 10), client.get_watermark_offsets(TopicPartition(name, 0), timeout=10), "watermarks")
    client.close()


matrix.run(matrix.standard(globals()), args.only)
