const { Kafka } = require('kafkajs');

const kafka = new Kafka({ clientId: 'mailer', brokers: ['kafka-1.shop.internal:9093'], ssl: { rejectUnauthorized: false } });
const producer = kafka.producer({ idempotent: true });
const consumer = kafka.consumer({ groupId: 'mailer' });

async function run(mail) {
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      setImmediate(() => mail(message.value));
      producer.send({ topic: 'mails', messages: [{ key: message.key, value: message.value }] });
    },
  });
}

module.exports = { run };
