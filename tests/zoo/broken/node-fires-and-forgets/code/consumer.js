const { Kafka } = require('kafkajs');
const { ship } = require('./shipping');

const kafka = new Kafka({ clientId: 'shipping', brokers: process.env.KAFKA.split(',') });
const consumer = kafka.consumer({ groupId: 'shipping' });

async function main() {
  await consumer.connect();
  await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      setImmediate(() => ship(JSON.parse(message.value.toString())));
    },
  });
}

main();
