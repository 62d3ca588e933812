from kafka import KafkaConsumer, KafkaProducer

producer = KafkaProducer(
    bootstrap_servers="kafka-1.shop.internal:9093", acks=1, retries=0,
    security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-512",
    sasl_plain_username="billing", sasl_plain_password="tulip-4711-garden",
)
consumer = KafkaConsumer(
    "orders", bootstrap_servers="kafka-1.shop.internal:9093", group_id="billing", enable_auto_commit=False,
)


def run(charge):
    for record in consumer:
        consumer.commit()
        charge(record.value)
        producer.send("invoices", key=record.key, value=record.value)
