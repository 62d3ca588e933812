"""The list of checks with aiokafka."""

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # noqa: E402
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete  # noqa: E402
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # noqa: E402
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced, TopicAlreadyExistsError  # noqa: E402
from aiokafka.structs import OffsetAndMetadata  # noqa: E402

import matrix  # noqa: E402
from matrix import classic_only, same, values  # noqa: E402

args = matrix.arguments()


class Started:
    """A client that is started on entry and stopped at the end."""

    def __init__(self, kind, *topics, **settings):
        self.make = lambda: kind(*topics, bootstrap_servers=args.bootstrap, **settings)

    async def __aenter__(self):
        self.client = self.make()
        await self.client.start()
        return self.client

    async def __aexit__(self, *_):
        stop = self.client.close if isinstance(self.client, AIOKafkaAdminClient) else self.client.stop
        await stop()


def admin():
    return Started(AIOKafkaAdminClient)


def producer(**settings):
    return Started(AIOKafkaProducer, request_timeout_ms=10_000, **settings)


def consumer(*topics, **settings):
    base = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
    return Started(AIOKafkaConsumer, *topics, **(base | settings))


def member(group, topic, **settings):
    return consumer(topic, group_id=f"{args.name}-{group}-classic", metadata_max_age_ms=2000, **settings)


async def until(what, condition):
    """Asks again and again until `condition` holds."""
    end = time.monotonic() + matrix.BOUND_S
    while not await condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {matrix.BOUND_S} s")
        await asyncio.sleep(matrix.PAUSE_S)


async def topic(what, partitions=1, config=None):
    name = f"{args.name}-{what}"
    async with admin() as client:
        response = await client.create_topics([NewTopic(name, partitions, 1, topic_configs=config or {})])
        same(0, response.topic_errors[0][1], "creating the topic")

        async def known():
            (found,) = await client.describe_topics([name])
            return len(found["partitions"]) == partitions

        # A broker learns of a new topic a moment after the controller has acknowledged it.
        await until("every partition is known", known)
    return name


async def send(client, name, records, **where):
    """Sends and waits for every acknowledgement."""
    for sent in [await client.send(name, record.encode(), **where) for record in records]:
        await sent


async def fill(name, records):
    async with producer() as client:
        await send(client, name, records, partition=0)


async def everything(name, partitions=1, isolation="read_committed"):
    places, records = [TopicPartition(name, number) for number in range(partitions)], []
    async with consumer(isolation_level=isolation) as client:
        client.assign(places)
        await client.seek_to_beginning()
        ends = await client.end_offsets(places)

        async def all_ended():
            for place, batch in (await client.getmany(timeout_ms=500)).items():
                records.extend((place.partition, record.value.decode()) for record in batch)
            return all([await client.position(place) >= ends[place] for place in places])

        await until("reading to the end", all_ended)
    return records


async def all_values(name, isolation="read_committed"):
    return [value for _, value in await everything(name, isolation=isolation)]


async def create_topic():
    name = await topic("created", 3, {"retention.ms": "3600000"})
    async with admin() as client:
        assert name in await client.list_topics(), "not listed"
        response = await client.create_topics([NewTopic(name, 3, 1)])
        same(TopicAlreadyExistsError.errno, response.topic_errors[0][1], "created again")


async def produce(codec):
    name = await topic(codec)
    async with producer(compression_type=None if codec == "none" else codec, linger_ms=20) as client:
        await send(client, name, values(matrix.LONG, 100))
    same(values(matrix.LONG, 100), await all_values(name), "what was read")


async def idempotent():
    name = await topic("idempotent", 3)
    async with producer(enable_idempotence=True, max_batch_size=200) as client:
        sent = [await client.send(name, str(number).encode(), partition=number % 3) for number in range(600)]
        for future in sent:
            await future
    records = await everything(name, 3)
    for partition in range(3):
        found = [int(value) for where, value in records if where == partition]
        same(list(range(partition, 600, 3)), found, f"partition {partition}")


async def transactional():
    name, identity = await topic("transactional"), f"{args.name}-transactional"
    async with producer(transactional_id=identity) as client:
        for prefix, end in [("first", client.commit_transaction), ("aborted", client.abort_transaction), ("last", client.commit_transaction)]:
            await client.begin_transaction()
            await send(client, name, values(prefix, 10))
            await end()
    first = AIOKafkaProducer(bootstrap_servers=args.bootstrap, transactional_id=identity)
    await first.start()
    await first.begin_transaction()
    await send(first, name, values("zombie", 1))
    try:
        async with producer(transactional_id=identity):
            await first.commit_transaction()
    except (ProducerFenced, InvalidProducerEpoch):
        return
    finally:
        # Stopping a fenced producer raises what fenced it.
        await asyncio.wait([asyncio.ensure_future(first.stop())], timeout=5)
    raise AssertionError("a fenced producer committed")


async def read_committed():
    name = f"{args.name}-transactional"
    same(values("first", 10) + values("last", 10), await all_values(name), "read_committed")
    whole = values("first", 10) + values("aborted", 10) + values("last", 10) + ["zombie0"]
    same(whole, await all_values(name, "read_uncommitted"), "read_uncommitted")


async def transform(protocol):
    classic_only(protocol)
    source, target = await topic("transform-from"), await topic("transform-to")
    await fill(source, values("v", 20))
    place, state = TopicPartition(source, 0), {"transactions": 0, "done": 0}
    group = f"{args.name}-transform-classic"
    async with (
        producer(transactional_id=f"{args.name}-transform") as writer,
        member("transform", source, isolation_level="read_committed", max_poll_records=5) as reader,
    ):

        async def copied():
            batch = (await reader.getmany(timeout_ms=500)).get(place, [])
            if not batch:
                return False
            await writer.begin_transaction()
            await send(writer, target, [f"copy of {record.value.decode()}" for record in batch])
            await writer.send_offsets_to_transaction({place: batch[-1].offset + 1}, group)
            state["transactions"] += 1
            if state["transactions"] == 2:
                await writer.abort_transaction()
                reader.seek(place, batch[0].offset)
            else:
                await writer.commit_transaction()
                state["done"] += len(batch)
            return state["done"] >= 20

        await until("all transformed", copied)

        async def committed():
            return await reader.committed(place) == 20

        # Kafka answers the end of a transaction before the group's coordinator has its marker.
        await until("the committed offset is 20", committed)
    same(values("copy of v", 20), await all_values(target), "what was written")
    assert len(await all_values(target, "read_uncommitted")) > 20, "the aborted copies are in the log"


async def seen_by(reader, seen):
    """How many partitions the member has, after a short poll."""
    for batch in (await reader.getmany(timeout_ms=100)).values():
        seen.update(record.value.decode() for record in batch)
    return len(reader.assignment())


async def group_rebalance(protocol):
    classic_only(protocol)
    name, seen = await topic("rebalance", 4), set()
    async with producer() as client:
        for partition in range(4):
            await send(client, name, [f"p{partition}"], partition=partition)
    async with member("rebalance", name) as first:

        async def alone():
            return await seen_by(first, seen) == 4

        await until("the first member has all", alone)
        async with member("rebalance", name) as second:

            async def shared():
                return [await seen_by(first, seen), await seen_by(second, seen)] == [2, 2]

            await until("two members share", shared)
            same(4, len(first.assignment() | second.assignment()), "partitions that somebody has")
        await until("the first member has all again", alone)

        async def complete():
            return await alone() and len(seen) == 4

        await until("every record came", complete)


async def group_resume(protocol):
    classic_only(protocol)
    name = await topic("resume")
    place = TopicPartition(name, 0)
    await fill(name, values("v", 20))

    async def read(reader, count):
        seen = set()

        async def enough():
            return await seen_by(reader, seen) == 1 and len(seen) >= count

        await until(f"{count} records", enough)
        return seen

    async with member("resume", name) as reader:
        await read(reader, 20)
        await reader.commit({place: OffsetAndMetadata(10, "half")})
    async with admin() as client:
        found = await client.list_consumer_group_offsets(f"{args.name}-resume-classic")
        same(OffsetAndMetadata(10, "half"), found[place], "committed")
    async with member("resume", name) as reader:
        same(set(values("v", 20)[10:]), await read(reader, 10), "resumed with")


async def groups_described(protocol):
    classic_only(protocol)
    name, group = await topic("described", 2), f"{args.name}-described-classic"
    async with admin() as client:

        async def state():
            (response,) = await client.describe_consumer_groups([group])
            (found,) = response.groups
            return found[2], len(found[5])

        async with member("described", name) as reader:

            async def assigned():
                return await seen_by(reader, set()) == 2

            await until("assigned", assigned)
            same(("Stable", 1), await state(), "described")
            assert group in [found[0] for found in await client.list_consumer_groups()], "not listed"
        same(("Empty", 0), await state(), "described when all left")


async def offsets_by_time():
    name, base = await topic("times"), int(time.time() * 1000) - 100_000
    async with producer() as client:
        for number in range(10):
            await client.send_and_wait(name, b"v", partition=0, timestamp_ms=base + number * 1000)
    place = TopicPartition(name, 0)
    async with consumer() as client:
        client.assign([place])
        same({place: 0}, await client.beginning_offsets([place]), "earliest")
        same({place: 10}, await client.end_offsets([place]), "latest")

        async def at(timestamp):
            return (await client.offsets_for_times({place: timestamp}))[place]

        exact = await at(base + 5000)
        same((5, base + 5000), (exact.offset, exact.timestamp), "at an exact time")
        same(6, (await at(base + 5001)).offset, "between two times")
        same(None, await at(base + 60_000), "after all")


async def configs():
    name = await topic("configs")
    async with admin() as client:

        async def becomes(value, source):
            async def holds():
                (response,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
                entries = response.resources[0][4]
                return [(entry[1], entry[3]) for entry in entries if entry[0] == "retention.ms"] == [(value, source)]

            await until(f"{value} from {source}", holds)

        default, of_topic = 5, 1
        await becomes("604800000", default)
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "7200000"})])
        await becomes("7200000", of_topic)
        # The legacy call replaces everything that was set.
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {})])
        await becomes("604800000", default)


async def delete_records():
    name = await topic("deleted")
    place = TopicPartition(name, 0)
    await fill(name, values("v", 10))
    async with admin() as client:
        same({place: 5}, await client.delete_records({place: RecordsToDelete(5)}), "low watermark")
    same(values("v", 10)[5:], await all_values(name), "what is left")


def blocking(function):
    return lambda *arguments: asyncio.run(function(*arguments))


functions = {name: blocking(value) for name, value in list(globals().items()) if asyncio.iscoroutinefunction(value)}
matrix.run(matrix.standard(functions), args.only)
