import os
import sys

from confluent_kafka import Consumer, KafkaException, Producer

producer = Producer({
    "bootstrap.servers": os.environ["KAFKA"],
    "security.protocol": "SSL",
    "acks": "all",
    "enable.idempotence": True,
    "compression.type": "zstd",
})


def delivered(error, message):
    if error is not None:
        print(f"{message.topic()}: {error}", file=sys.stderr)
        raise KafkaException(error)


def place(order_id, order):
    producer.produce("orders", key=order_id, value=order, on_delivery=delivered)
    producer.poll(0)


def stop():
    left = producer.flush(30)
    if left:
        raise SystemExit(f"{left} orders were not written")


def read(handle):
    consumer = Consumer({
        "bootstrap.servers": os.environ["KAFKA"],
        "security.protocol": "SSL",
        "group.id": "billing",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    })
    consumer.subscribe(["orders"])
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            handle(message.key(), message.value())
            consumer.commit(message=message, asynchronous=False)
    finally:
        consumer.close()
