// Sends keys with exported settings and reads them back with KafkaJS: round_trip.js FOLDER TOPIC GROUP BOOTSTRAP KEYS.
// Prints one line of JSON: the partition of each key, and how many were read.
"use strict";

const { Kafka, logLevel } = require("kafkajs");

async function main() {
  const [folder, topic, group, bootstrap, count] = process.argv.slice(2);
  const settings = require(`${folder}/kafka-settings.js`);
  const keys = Array.from({ length: Number(count) }, (_, number) => `key-${number}`);
  const { acks, requestTimeout, ...producing } = settings.producers[topic];
  const connection = { ...settings.connection, brokers: bootstrap.split(","), requestTimeout, logLevel: logLevel.ERROR };
  const kafka = new Kafka(connection);
  const producer = kafka.producer(producing);
  await producer.connect();
  await producer.send({ topic, acks, messages: keys.map((key) => ({ key, value: "value" })) });
  await producer.disconnect();

  const { fromBeginning, autoCommit, ...consuming } = settings.consumers[group];
  const consumer = kafka.consumer(consuming);
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning });
  const partitions = {};
  let read = 0;
  await new Promise((done, failed) => {
    setTimeout(() => failed(new Error(`read ${read} of ${count}`)), 60_000).unref();
    consumer
      .run({
        autoCommit,
        eachBatch: async ({ batch }) => {
          for (const message of batch.messages) {
            partitions[message.key.toString()] = batch.partition;
            read += 1;
          }
          // Committed when the whole batch is done.
          const next = (BigInt(batch.lastOffset()) + 1n).toString();
          await consumer.commitOffsets([{ topic, partition: batch.partition, offset: next }]);
          if (read >= keys.length) done();
        },
      })
      .catch(failed);
  });
  await consumer.disconnect();
  console.log(JSON.stringify({ partitions, read }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
