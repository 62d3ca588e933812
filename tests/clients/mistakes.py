"""Clients that make mistakes which an audit is to find: mistakes.py COMMAND BOOTSTRAP …

write BOOTSTRAP JOBS                        writes what the jobs say, a list in JSON, and ends
flow  BOOTSTRAP TOPIC RATE                  writes so many records a second until it is ended
read  BOOTSTRAP GROUP TOPIC MEMBERS RATE    reads with so many members, each at most so many records a second (0: all)

A job has topic, records and keys, and perhaps client (librdkafka, kafka-python), partition, bytes, age_ms, and settings of
librdkafka."""

import json
import os
import sys
import threading
import time

COMMIT_EVERY_S = 1.0
PARENT = os.getppid()


def is_wanted():
    """Whether the test that started this is still there: one that was killed cannot end it."""
    return os.getppid() == PARENT


def key_of(kind, number):
    """The key of a record: None is no key."""
    keys = {
        # Six of ten records are one tenant's.
        "hot": lambda: "tenant-0" if number % 10 < 6 else f"tenant-{number % 997}",
        "composite": lambda: f"tenant-0:account-{number % 1999}",
        "few": lambda: ["at", "ch", "de"][number % 3],
        "orders": lambda: f"order-{number % 1999}",
        "timed": lambda: f"order-{number % 100}-{int(time.time() * 1e6)}",
        "none": lambda: None,
    }
    key = keys[kind]()
    return key if key is None else key.encode()


def write_with_kafka_python(bootstrap, job):
    import kafka

    producer = kafka.KafkaProducer(bootstrap_servers=bootstrap.split(","), linger_ms=20)
    sent = [
        producer.send(job["topic"], key=key_of(job["keys"], number), value=b"value") for number in range(job["records"])
    ]
    producer.flush()
    for answer in sent:
        answer.get(timeout=30)
    producer.close()


def write_with_librdkafka(bootstrap, job):
    import confluent_kafka

    failed = []
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 20, "message.max.bytes": 2_000_000}
    producer = confluent_kafka.Producer(settings | job.get("settings", {}))
    more = {"partition": job["partition"]} if "partition" in job else {}
    if "age_ms" in job:
        more["timestamp"] = int(time.time() * 1000) - job["age_ms"]
    # Random, so that no compression makes it small.
    value = os.urandom(job.get("bytes", 100))
    for number in range(job["records"]):
        while True:
            try:
                producer.produce(
                    job["topic"],
                    key=key_of(job["keys"], number),
                    value=value,
                    on_delivery=lambda error, _: error is not None and failed.append(error),
                    **more,
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(60)
    if failed or left:
        raise RuntimeError(f"{left} records of {job['topic']} are not written, {failed[:1]}")


def flow(bootstrap, topic, rate):
    import confluent_kafka

    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    begin, number = time.monotonic(), 0
    while is_wanted():
        while number < (time.monotonic() - begin) * rate:
            producer.produce(topic, key=f"order-{number}", value=b"value")
            number += 1
        producer.poll(0.02)


def read(bootstrap, group, topic, rate):
    import confluent_kafka

    settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    consumer = confluent_kafka.Consumer(settings | {"enable.auto.commit": False})
    consumer.subscribe([topic])
    begin, done, kept = time.monotonic(), 0, time.monotonic()
    while is_wanted():
        early = rate > 0 and done >= (time.monotonic() - begin) * rate
        message = None if early else consumer.poll(0.05)
        if early:
            # The pace of the reader, not a wait for anything.
            time.sleep(0.005)
        if message is not None and message.error() is None:
            done += 1
        if done > 0 and time.monotonic() - kept > COMMIT_EVERY_S:
            kept = time.monotonic()
            try:
                consumer.commit(asynchronous=False)
            except confluent_kafka.KafkaException:
                # Nothing new, or a rebalance: the next one takes it.
                pass


def main():
    command, bootstrap, *more = sys.argv[1:]
    if command == "write":
        with_client = {"kafka-python": write_with_kafka_python, "librdkafka": write_with_librdkafka}
        for job in json.loads(more[0]):
            with_client[job.get("client", "librdkafka")](bootstrap, job)
    elif command == "flow":
        flow(bootstrap, more[0], float(more[1]))
    else:
        group, topic, members, rate = more
        threads = [
            threading.Thread(target=read, args=(bootstrap, group, topic, float(rate))) for _ in range(int(members))
        ]
        for thread in threads:
            thread.start()


main()
