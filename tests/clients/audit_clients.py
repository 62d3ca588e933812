"""Clients that use a cluster as people do, well and badly: audit_clients.py BOOTSTRAP ACTION ...

send LIBRARY TOPIC RECORDS KEYS [HOT]   sends records with so many different keys (0: none); HOT of 100 have one key.
                                        LIBRARY is kafka-python, librdkafka, or librdkafka:PARTITIONER
old TOPIC RECORDS SECONDS               sends records that are so old
big TOPIC PARTITION RECORDS BYTES       sends large records to one partition
commit GROUP TOPIC PARTITIONS OFFSET    commits in so many partitions, as a consumer that joins no group
flow TOPIC RATE                         sends so many records a second, and as many as a line of its input asks for from then on
read GROUP TOPIC CONSUMERS RATE         reads with so many consumers, each so many records a second at most

`flow` and `read` say `ready` when they are under way, and go on until their input ends."""

import os
import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

TICK_S = 0.05


def librdkafka(bootstrap, **more):
    return Producer({"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 1_000_000, **more})


def key_of(number, keys, hot):
    if keys == 0:
        return None
    return b"hot" if number % 100 < hot else f"key-{number % keys}".encode()


def send(bootstrap, library, topic, records, keys, hot="0"):
    keyed = (key_of(number, int(keys), int(hot)) for number in range(int(records)))
    if library == "kafka-python":
        from kafka import KafkaProducer

        producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), linger_ms=20)
        for key in keyed:
            producer.send(topic, key=key, value=b"value")
        producer.flush()
        producer.close()
        return
    _, _, partitioner = library.partition(":")
    producer = librdkafka(bootstrap, **({"partitioner": partitioner} if partitioner else {}))
    for key in keyed:
        producer.produce(topic, key=key, value=b"value")
    assert producer.flush(60) == 0, "records are left"


def old(bootstrap, topic, records, seconds):
    producer = librdkafka(bootstrap)
    at = int((time.time() - int(seconds)) * 1000)
    for number in range(int(records)):
        producer.produce(topic, key=f"key-{number}".encode(), value=b"value", timestamp=at)
    assert producer.flush(60) == 0, "records are left"


def big(bootstrap, topic, partition, records, size):
    producer = librdkafka(bootstrap, **{"batch.size": 1_000_000, "queue.buffering.max.kbytes": 1_000_000})
    value = os.urandom(int(size))
    for number in range(int(records)):
        producer.produce(topic, key=f"key-{number}".encode(), value=value, partition=int(partition))
        producer.poll(0)
    assert producer.flush(120) == 0, "records are left"


def commit(bootstrap, group, topic, partitions, offset):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    offsets = [TopicPartition(topic, partition, int(offset)) for partition in range(int(partitions))]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()


def flow(bootstrap, topic, rate):
    producer = librdkafka(bootstrap)
    wanted = {"rate": int(rate)}

    def listen():
        for line in sys.stdin:
            wanted["rate"] = int(line)
        wanted["rate"] = None

    threading.Thread(target=listen, daemon=True).start()
    number, due, before = 0, 0.0, time.monotonic()
    while (rate := wanted["rate"]) is not None:
        now = time.monotonic()
        due, before = due + rate * (now - before), now
        while due >= 1:
            producer.produce(topic, key=f"key-{number % 1000}".encode(), value=b"value")
            number, due = number + 1, due - 1
            if number == 1:
                producer.flush(60)
                print("ready", flush=True)
        producer.poll(0)
        # The pace of the writer; it ends with its standard input.
        time.sleep(TICK_S)
    producer.flush(60)


def read(bootstrap, group, topic, consumers, rate):
    over, count, rate = threading.Event(), int(consumers), int(rate)
    under_way, lock = set(), threading.Lock()

    def started(number):
        with lock:
            if number not in under_way:
                under_way.add(number)
                if len(under_way) == count:
                    print("ready", flush=True)

    def work(number):
        settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
        consumer = Consumer({**settings, "enable.auto.commit": False, "queued.min.messages": 1000})
        assigned = threading.Event()
        consumer.subscribe([topic], on_assign=lambda *_: assigned.set())
        committed = time.monotonic()
        while not over.is_set():
            records = consumer.consume(max(1, int(rate * TICK_S)) if rate else 1000, timeout=TICK_S)
            if assigned.is_set():
                started(number)
            if records and rate:
                # The time that the work on them takes; the reader ends with its standard input.
                time.sleep(len(records) / rate)
            if time.monotonic() - committed > 0.5:
                committed = time.monotonic()
                try:
                    consumer.commit(asynchronous=False)
                except Exception:  # nothing to commit yet, or the group changes: the next time will do
                    pass
        consumer.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for worker in workers:
        worker.start()
    for _ in sys.stdin:
        pass
    over.set()
    for worker in workers:
        worker.join()


bootstrap, action, *rest = sys.argv[1:]
{"send": send, "old": old, "big": big, "commit": commit, "flow": flow, "read": read}[action](bootstrap, *rest)
