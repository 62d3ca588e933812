import { Kafka } from 'kafkajs';

const kafka = new Kafka({ clientId: 'shipping', brokers: ['kafka-1.shop.internal:9092'] });
const producer = kafka.producer();
const consumer = kafka.consumer({ groupId: 'shipping' });

export async function run(ship: (order: string) => Promise<void>) {
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topics: ['orders'] });
  await consumer.run({
    eachMessage: async ({ message }) => {
      setImmediate(() => ship(String(message.value)));
      producer.send({ topic: 'shipments', acks: 0, messages: [{ key: message.key, value: message.value }] });
    },
  });
}
