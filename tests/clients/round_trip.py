"""Sends keys with exported settings and reads them back: round_trip.py CLIENT FOLDER TOPIC GROUP BOOTSTRAP KEYS.

CLIENT is kafka-python or librdkafka. Prints one line of JSON: the partition of each key, and how many were read."""

import json
import os
import sys
import time

READ_WITHIN_S = 60


def properties(path):
    """A file of `name=value` lines, as librdkafka's own programs read it."""
    with open(path) as lines:
        pairs = (line.rstrip("\n").split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
        return dict(pairs)


def with_kafka_python(folder, topic, group, bootstrap, keys):
    sys.path.insert(0, folder)
    import kafka
    import kafka_settings

    connection = dict(kafka_settings.CONNECTION, bootstrap_servers=bootstrap)
    producer = kafka.KafkaProducer(**connection, **kafka_settings.PRODUCERS[topic])
    sent = {key: producer.send(topic, key=key.encode(), value=b"value") for key in keys}
    producer.flush()
    partitions = {key: answer.get(timeout=30).partition for key, answer in sent.items()}
    consumer = kafka.KafkaConsumer(topic, **connection, **kafka_settings.CONSUMERS[group])
    read, until = 0, time.monotonic() + READ_WITHIN_S
    while read < len(keys) and time.monotonic() < until:
        read += sum(len(records) for records in consumer.poll(timeout_ms=1000).values())
        consumer.commit()
    consumer.close()
    producer.close()
    return partitions, read


def with_librdkafka(folder, topic, group, bootstrap, keys):
    import confluent_kafka

    partitions = {}

    def delivered(error, message):
        if error is not None:
            raise RuntimeError(str(error))
        partitions[message.key().decode()] = message.partition()

    here = {"bootstrap.servers": bootstrap}
    # The file says where the password is; putting it there is the program's.
    if "KAFKA_PASSWORD" in os.environ:
        here["sasl.password"] = os.environ["KAFKA_PASSWORD"]
    producer = confluent_kafka.Producer(properties(f"{folder}/producer-{topic}.properties") | here)
    for key in keys:
        producer.produce(topic, key=key, value="value", on_delivery=delivered)
    producer.flush(60)
    consumer = confluent_kafka.Consumer(properties(f"{folder}/consumer-{group}.properties") | here)
    consumer.subscribe([topic])
    read, until = 0, time.monotonic() + READ_WITHIN_S
    while read < len(keys) and time.monotonic() < until:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            read += 1
            consumer.store_offsets(message)
    consumer.commit(asynchronous=False)
    consumer.close()
    return partitions, read


def main():
    client, folder, topic, group, bootstrap, count = sys.argv[1:]
    keys = [f"key-{number}" for number in range(int(count))]
    run = {"kafka-python": with_kafka_python, "librdkafka": with_librdkafka}[client]
    partitions, read = run(folder, topic, group, bootstrap, keys)
    print(json.dumps({"partitions": partitions, "read": read}))


main()
