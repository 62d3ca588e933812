import time

from confluent_kafka import Consumer, Producer

producer = Producer({"bootstrap.servers": "kafka-1.shop.internal:9092", "acks": 0})
consumer = Consumer({
    "bootstrap.servers": "kafka-1.shop.internal:9092",
    "group.id": "billing",
    "auto.offset.reset": "latest",
})
consumer.subscribe(["orders"])

while True:
    message = consumer.poll(1.0)
    if message is None or message.error():
        continue
    time.sleep(600)
    producer.produce("invoices", key=message.key(), value=message.value())
    producer.flush()
