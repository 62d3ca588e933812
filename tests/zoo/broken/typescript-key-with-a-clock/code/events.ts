import { Kafka } from 'kafkajs';

const producer = new Kafka({ brokers: (process.env.KAFKA ?? '').split(',') }).producer({ idempotent: true });

export async function publish(order: { id: string }, payload: string): Promise<void> {
  await producer.send({
    topic: 'orders',
    acks: -1,
    messages: [{ key: `${order.id}-${Date.now()}`, value: payload }],
  });
}
