import os
from confluent_kafka import Consumer
from billing import charge

consumer = Consumer({
    "bootstrap.servers": os.environ["KAFKA"],
    "group.id": "billing",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
})
consumer.subscribe(["payments"])
while True:
    message = consumer.poll(1.0)
    if message is None or message.error():
        continue
    consumer.commit(message=message, asynchronous=False)
    charge(message.value())
