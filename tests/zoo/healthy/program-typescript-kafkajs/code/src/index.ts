import { Kafka } from 'kafkajs';

const kafka = new Kafka({ clientId: 'shipping', brokers: [process.env.KAFKA!], ssl: true });
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
const consumer = kafka.consumer({ groupId: 'shipping' });

export async function run(ship: (order: Buffer | null) => Promise<string>) {
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ topic, partition, message }) => {
      const value = await ship(message.value);
      await producer.send({ topic: 'shipments', acks: -1, messages: [{ key: message.key, value }] });
      await consumer.commitOffsets([{ topic, partition, offset: (BigInt(message.offset) + 1n).toString() }]);
    },
  });
}
