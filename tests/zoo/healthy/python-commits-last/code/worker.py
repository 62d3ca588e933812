import os
import time
from confluent_kafka import Consumer
from billing import charge


def wait_for_database(ready):
    while not ready():
        time.sleep(1)


def run(consumer: Consumer):
    consumer.subscribe(["payments"])
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        charge(message.value())
        consumer.commit(message=message, asynchronous=False)


run(Consumer({
    "bootstrap.servers": os.environ["KAFKA"],
    "group.id": "billing",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
}))
