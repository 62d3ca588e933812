import os

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def bridge(work):
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA"], security_protocol="SSL", acks="all",
        enable_idempotence=True, compression_type="lz4",
    )
    consumer = AIOKafkaConsumer(
        "orders", bootstrap_servers=os.environ["KAFKA"], security_protocol="SSL", group_id="bridge",
        enable_auto_commit=False, auto_offset_reset="earliest",
    )
    await producer.start()
    await consumer.start()
    try:
        async for record in consumer:
            await producer.send_and_wait("shipments", key=record.key, value=await work(record.value))
            await consumer.commit()
    finally:
        await consumer.stop()
        await producer.stop()
