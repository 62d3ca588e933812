const { Kafka } = require('kafkajs');

const kafka = new Kafka({ clientId: 'mailer', brokers: [process.env.KAFKA], ssl: true });
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
const consumer = kafka.consumer({ groupId: 'mailer' });

function mailed(key, value) {
  return producer.send({ topic: 'mails', acks: -1, messages: [{ key, value }] });
}

async function run(mail) {
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
  await consumer.run({
    eachBatch: async ({ batch }) => {
      await Promise.all(batch.messages.map(async (message) => {
        await mail(message.value);
        await mailed(message.key, message.value);
      }));
    },
  });
}

module.exports = { run };
