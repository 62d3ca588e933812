import { Kafka } from 'kafkajs';

const producer = new Kafka({ brokers: (process.env.KAFKA ?? '').split(',') }).producer({ idempotent: true });

export async function publish(timestampedOrder: { orderId: string; at: number }): Promise<void> {
  await producer.send({
    topic: 'orders',
    acks: -1,
    messages: [{ key: timestampedOrder.orderId, value: JSON.stringify(timestampedOrder) }],
  });
}
