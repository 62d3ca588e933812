"""The list of checks with kafka-python."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition  # noqa: E402
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec  # noqa: E402
from kafka.admin import NewTopic  # noqa: E402
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError, TopicAlreadyExistsError  # noqa: E402

import matrix  # noqa: E402
from matrix import classic_only, same, until, values  # noqa: E402

args = matrix.arguments()
admin = KafkaAdminClient(bootstrap_servers=args.bootstrap)


def topic(what, partitions=1, config=None):
    name = f"{args.name}-{what}"
    admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config or {})])
    return name


def producer(**settings):
    return KafkaProducer(bootstrap_servers=args.bootstrap, max_block_ms=30_000, delivery_timeout_ms=30_000, request_timeout_ms=10_000, **settings)


def send(client, name, records, **where):
    """Sends and waits for every acknowledgement."""
    sent = [client.send(name, record.encode(), **where) for record in records]
    client.flush(30)
    for future in sent:
        future.get(30)


def fill(name, records):
    client = producer()
    send(client, name, records, partition=0)
    client.close()


def consumer(**settings):
    base = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
    return KafkaConsumer(bootstrap_servers=args.bootstrap, **(base | settings))


def member(group, **settings):
    return consumer(group_id=f"{args.name}-{group}-classic", **settings)


def everything(name, partitions=1, isolation="read_committed"):
    client = consumer(isolation_level=isolation)
    places = [TopicPartition(name, number) for number in range(partitions)]
    client.assign(places)
    client.seek_to_beginning()
    ends, records = client.end_offsets(places), []

    def all_ended():
        for place, batch in client.poll(500).items():
            records.extend((place.partition, record.value.decode()) for record in batch)
        return all(client.position(place) >= ends[place] for place in places)

    until("reading to the end", all_ended)
    client.close()
    return records


def all_values(name, isolation="read_committed"):
    return [value for _, value in everything(name, isolation=isolation)]


def create_topic():
    name = topic("created", 3, {"retention.ms": "3600000"})
    # A broker learns of a new topic a moment after the controller has acknowledged it.
    until("3 partitions", lambda: [len(found["partitions"]) for found in admin.describe_topics([name])] == [3])
    try:
        topic("created", 3)
    except TopicAlreadyExistsError:
        return
    raise AssertionError("created twice")


def produce(codec):
    name = topic(codec)
    client = producer(compression_type=None if codec == "none" else codec, linger_ms=20)
    send(client, name, values(matrix.LONG, 100))
    client.close()
    same(values(matrix.LONG, 100), all_values(name), "what was read")


def idempotent():
    name = topic("idempotent", 3)
    client = producer(enable_idempotence=True, batch_size=200)
    for number in range(600):
        client.send(name, str(number).encode(), partition=number % 3)
        if number == 2:
            # A broker that does not know the new topic yet may refuse the first batch of a producer and take the second.
            client.flush(30)
    client.flush(30)
    client.close()
    records = everything(name, 3)
    for partition in range(3):
        found = [int(value) for where, value in records if where == partition]
        same(list(range(partition, 600, 3)), found, f"partition {partition}")


def transactional():
    name = topic("transactional")
    client = producer(transactional_id=f"{args.name}-transactional")
    client.init_transactions()
    for prefix, end in [("first", client.commit_transaction), ("aborted", client.abort_transaction), ("last", client.commit_transaction)]:
        client.begin_transaction()
        send(client, name, values(prefix, 10))
        end()
    client.begin_transaction()
    send(client, name, values("zombie", 1))
    second = producer(transactional_id=f"{args.name}-transactional")
    second.init_transactions()
    try:
        client.commit_transaction()
    except (ProducerFencedError, InvalidProducerEpochError):
        return
    except KafkaError as error:
        if isinstance(error.__cause__, (ProducerFencedError, InvalidProducerEpochError)):
            return
        raise
    finally:
        second.close()
        client.close(timeout=1)
    raise AssertionError("a fenced producer committed")


def read_committed():
    name = f"{args.name}-transactional"
    same(values("first", 10) + values("last", 10), all_values(name), "read_committed")
    whole = values("first", 10) + values("aborted", 10) + values("last", 10) + ["zombie0"]
    same(whole, all_values(name, "read_uncommitted"), "read_uncommitted")


def transform(protocol):
    classic_only(protocol)
    source, target = topic("transform-from"), topic("transform-to")
    fill(source, values("v", 20))
    reader = member("transform", isolation_level="read_committed", max_poll_records=5)
    reader.subscribe([source])
    writer = producer(transactional_id=f"{args.name}-transform")
    writer.init_transactions()
    place, state = TopicPartition(source, 0), {"transactions": 0, "done": 0}

    def copied():
        batch = reader.poll(500).get(place, [])
        if not batch:
            return False
        writer.begin_transaction()
        send(writer, target, [f"copy of {record.value.decode()}" for record in batch])
        writer.send_offsets_to_transaction({place: OffsetAndMetadata(batch[-1].offset + 1, "", -1)}, reader.group_metadata())
        state["transactions"] += 1
        if state["transactions"] == 2:
            writer.abort_transaction()
            reader.seek(place, batch[0].offset)
        else:
            writer.commit_transaction()
            state["done"] += len(batch)
        return state["done"] >= 20

    until("all transformed", copied)
    # Kafka answers the end of a transaction before the group's coordinator has its marker.
    until("the committed offset is 20", lambda: reader.committed(place) == 20)
    reader.close()
    writer.close()
    same(values("copy of v", 20), all_values(target), "what was written")
    assert len(all_values(target, "read_uncommitted")) > 20, "the aborted copies are in the log"


def seen_by(reader, seen):
    """How many partitions the member has, after a short poll."""
    for batch in reader.poll(100).values():
        seen.update(record.value.decode() for record in batch)
    return len(reader.assignment())


def group_rebalance(protocol):
    classic_only(protocol)
    name, seen = topic("rebalance", 4), set()
    client = producer()
    for partition in range(4):
        send(client, name, [f"p{partition}"], partition=partition)
    client.close()
    first = member("rebalance")
    first.subscribe([name])
    until("the first member has all", lambda: seen_by(first, seen) == 4)
    second = member("rebalance")
    second.subscribe([name])
    until("two members share", lambda: [seen_by(first, seen), seen_by(second, seen)] == [2, 2])
    same(4, len(first.assignment() | second.assignment()), "partitions that somebody has")
    second.close()
    until("the first member has all again", lambda: seen_by(first, seen) == 4 and len(seen) == 4)
    first.close()


def group_resume(protocol):
    classic_only(protocol)
    name, seen = topic("resume"), set()
    place = TopicPartition(name, 0)
    fill(name, values("v", 20))
    reader = member("resume")
    reader.subscribe([name])
    until("20 records", lambda: seen_by(reader, seen) == 1 and len(seen) == 20)
    reader.commit({place: OffsetAndMetadata(10, "half", -1)})
    reader.close()
    group = f"{args.name}-resume-classic"
    found = admin.list_group_offsets({group: [place]})[group][place]
    same((10, "half"), (found.offset, found.metadata), "committed")
    reader, seen = member("resume"), set()
    reader.subscribe([name])
    until("the other ten", lambda: seen_by(reader, seen) == 1 and len(seen) >= 10)
    same(set(values("v", 20)[10:]), seen, "resumed with")
    reader.close()


def groups_described(protocol):
    classic_only(protocol)
    name, group = topic("described", 2), f"{args.name}-described-classic"
    reader = member("described")
    reader.subscribe([name])
    until("assigned", lambda: seen_by(reader, set()) == 2)
    reader.commit({TopicPartition(name, 0): OffsetAndMetadata(0, "", -1)})
    described = admin.describe_groups([group])[group]
    same(("Stable", 1), (described["group_state"], len(described["members"])), "described")
    assert group in [found["group_id"] for found in admin.list_groups()], "not listed"
    reader.close()
    same("Empty", admin.describe_groups([group])[group]["group_state"], "state when all left")
    admin.delete_groups([group])
    assert group not in [found["group_id"] for found in admin.list_groups()], "still listed"


def offset(name, spec):
    return admin.list_partition_offsets({TopicPartition(name, 0): spec})[TopicPartition(name, 0)]


def offsets_by_time():
    name, base = topic("times"), int(time.time() * 1000) - 100_000
    client = producer()
    for number in range(10):
        client.send(name, b"v", partition=0, timestamp_ms=base + number * 1000).get(30)
    client.close()
    same(0, offset(name, OffsetSpec.EARLIEST).offset, "earliest")
    same(10, offset(name, OffsetSpec.LATEST).offset, "latest")
    exact = offset(name, base + 5000)
    same((5, base + 5000), (exact.offset, exact.timestamp), "at an exact time")
    same(6, offset(name, base + 5001).offset, "between two times")
    same(9, offset(name, OffsetSpec.MAX_TIMESTAMP).offset, "the largest time")
    reader = consumer()
    same({TopicPartition(name, 0): None}, reader.offsets_for_times({TopicPartition(name, 0): base + 60_000}), "after all")
    reader.close()


def configs():
    name = topic("configs")

    def becomes(value, source):
        def holds():
            found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
            found = found["topic"][name]["retention.ms"]
            return (found["value"], str(found["config_source"])) == (value, source)

        until(f"{value} from {source}", holds)

    becomes("604800000", "DEFAULT_CONFIG")
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "7200000"})])
    becomes("7200000", "DYNAMIC_TOPIC_CONFIG")
    admin.reset_configs([ConfigResource(ConfigResourceType.TOPIC, name, ["retention.ms"])])
    becomes("604800000", "DEFAULT_CONFIG")


def delete_records():
    name = topic("deleted")
    fill(name, values("v", 10))
    place = TopicPartition(name, 0)
    same(5, admin.delete_records({place: 5})[place]["low_watermark"], "low watermark")
    same(5, offset(name, OffsetSpec.EARLIEST).offset, "earliest")
    same(values("v", 10)[5:], all_values(name), "what is left")


matrix.run(matrix.standard(globals()), args.only)
