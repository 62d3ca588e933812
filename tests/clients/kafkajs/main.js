// The list of checks with KafkaJS.
"use strict";

const { Kafka, CompressionCodecs, CompressionTypes, ConfigResourceTypes, logLevel } = require("kafkajs");
const lz4 = require("lz4-napi");
const zstd = require("@bokuweb/zstd-wasm");
const { args, run, classicOnly, until, values, same, LONG } = require("../matrix.js");

// KafkaJS itself has gzip; its users bring the others.
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => zstd.init().then(() => Buffer.from(zstd.compress(encoder.buffer))),
  decompress: async (buffer) => zstd.init().then(() => Buffer.from(zstd.decompress(buffer))),
});

const kafka = new Kafka({ brokers: [args.bootstrap], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 100, retries: 12, maxRetryTime: 1000 } });
const admin = kafka.admin();
let readers = 0;

async function topic(what, numPartitions = 1, configEntries = []) {
  const name = `${args.name}-${what}`;
  await admin.createTopics({ topics: [{ topic: name, numPartitions, replicationFactor: 1, configEntries }] });
  return name;
}

async function producing(settings, work) {
  const producer = kafka.producer(settings);
  await producer.connect();
  try {
    return await work(producer);
  } finally {
    await producer.disconnect();
  }
}

const messages = (values, partition = 0) => values.map((value) => ({ key: "key", value, partition }));
const fill = (name, values) => producing({}, (producer) => producer.send({ topic: name, messages: messages(values) }));

// The values of all partitions in the order in which they came, until the condition holds for them.
async function read(name, readUncommitted, enough) {
  const found = [];
  const consumer = kafka.consumer({ groupId: `${args.name}-reader-${readers++}`, readUncommitted, maxWaitTimeInMs: 200 });
  await consumer.connect();
  await consumer.subscribe({ topic: name, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => found.push({ partition, value: message.value.toString() }),
  });
  try {
    await until("reading to the end", () => enough(found));
  } finally {
    await consumer.disconnect();
  }
  return found;
}

async function readTo(name, last, readUncommitted = false) {
  const found = await read(name, readUncommitted, (found) => found.some(({ value }) => value === last));
  return found.map(({ value }) => value);
}

// A member of a group that tells which partitions it has and what it has seen.
async function member(group, name, settings = {}) {
  const consumer = kafka.consumer({ groupId: `${args.name}-${group}-classic`, maxWaitTimeInMs: 200, rebalanceTimeout: 10_000, heartbeatInterval: 500, ...settings });
  const self = { consumer, owns: [], seen: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => (self.owns = payload.memberAssignment[name] ?? []));
  await consumer.connect();
  await consumer.subscribe({ topic: name, fromBeginning: true });
  self.run = (eachBatch) => consumer.run({ autoCommit: false, eachBatch });
  self.collect = () =>
    self.run(async ({ batch, heartbeat }) => {
      self.seen.push(...batch.messages.map((message) => message.value.toString()));
      await heartbeat();
    });
  return self;
}

const checks = {
  async create_topic() {
    const name = await topic("created", 3, [{ name: "retention.ms", value: "3600000" }]);
    const { topics } = await admin.fetchTopicMetadata({ topics: [name] });
    same(3, topics[0].partitions.length, "partitions");
    same(false, await admin.createTopics({ topics: [{ topic: name, numPartitions: 3 }] }), "created again");
  },

  async produce(codec) {
    const name = await topic(codec);
    const compression = { none: 0, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };
    const texts = values(LONG, 100);
    await producing({}, (producer) => producer.send({ topic: name, compression: compression[codec], messages: messages(texts) }));
    same(texts, await readTo(name, texts[99]), "what was read");
  },

  async idempotent() {
    const name = await topic("idempotent", 3);
    await producing({ idempotent: true, maxInFlightRequests: 1 }, async (producer) => {
      for (let start = 0; start < 600; start += 30) {
        const numbers = Array.from({ length: 30 }, (_, index) => start + index);
        await producer.send({ topic: name, messages: numbers.map((number) => ({ value: `${number}`, partition: number % 3 })) });
      }
    });
    const found = await read(name, true, (found) => found.length >= 600);
    for (const partition of [0, 1, 2]) {
      const numbers = found.filter((one) => one.partition === partition).map(({ value }) => Number(value));
      same(Array.from({ length: 200 }, (_, index) => partition + 3 * index), numbers, `partition ${partition}`);
    }
  },

  async transactional() {
    const name = await topic("transactional");
    const settings = { transactionalId: `${args.name}-transactional`, idempotent: true, maxInFlightRequests: 1 };
    await producing(settings, async (producer) => {
      for (const [prefix, end] of [["first", "commit"], ["aborted", "abort"], ["last", "commit"]]) {
        const transaction = await producer.transaction();
        await transaction.send({ topic: name, messages: messages(values(prefix, 10)) });
        await transaction[end]();
      }
      const zombie = await producer.transaction();
      await zombie.send({ topic: name, messages: messages(["zombie0"]) });
      await producing(settings, async (second) => {
        // KafkaJS takes its producer id with the first transaction.
        await (await second.transaction()).abort();
        const failure = await zombie.commit().then(
          () => "it committed",
          (error) => error.type,
        );
        same(true, ["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"].includes(failure), `the end of a fenced transaction was ${failure}`);
      });
    });
  },

  async read_committed() {
    const name = `${args.name}-transactional`;
    const committed = [...values("first", 10), ...values("last", 10)];
    same(committed, await readTo(name, "last9"), "read_committed");
    const whole = [...values("first", 10), ...values("aborted", 10), ...values("last", 10), "zombie0"];
    same(whole, await readTo(name, "zombie0", true), "read_uncommitted");
  },

  async transform(protocol) {
    classicOnly(protocol);
    const [source, target] = [await topic("transform-from"), await topic("transform-to")];
    const group = `${args.name}-transform-classic`;
    for (let start = 0; start < 20; start += 5) await fill(source, values("v", 20).slice(start, start + 5));
    let [transactions, done] = [0, 0];
    await producing({ transactionalId: `${args.name}-transform`, idempotent: true, maxInFlightRequests: 1 }, async (producer) => {
      const self = await member("transform", source, { readUncommitted: false });
      await self.run(async ({ batch, resolveOffset }) => {
        for (let start = 0; start < batch.messages.length; start += 5) {
          const part = batch.messages.slice(start, start + 5);
          const next = `${Number(part.at(-1).offset) + 1}`;
          const once = async (end) => {
            const transaction = await producer.transaction();
            await transaction.send({ topic: target, messages: messages(part.map((message) => `copy of ${message.value}`)) });
            await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic: source, partitions: [{ partition: 0, offset: next }] }] });
            await transaction[end]();
            transactions += 1;
          };
          if (transactions === 1) await once("abort");
          await once("commit");
          resolveOffset(part.at(-1).offset);
          done += part.length;
        }
      });
      await until("all transformed", () => done >= 20);
      await self.consumer.disconnect();
    });
    same(values("copy of v", 20), await readTo(target, "copy of v19"), "what was written");
    same(25, (await readTo(target, "copy of v19", true)).length, "with the aborted copies");
    const committed = async () => (await admin.fetchOffsets({ groupId: group, topics: [source] }))[0].partitions[0].offset === "20";
    await until("the committed offset is 20", committed);
  },

  async group_rebalance(protocol) {
    classicOnly(protocol);
    const name = await topic("rebalance", 4);
    await producing({}, (producer) => producer.send({ topic: name, messages: [0, 1, 2, 3].map((partition) => ({ value: `p${partition}`, partition })) }));
    const first = await member("rebalance", name);
    await first.collect();
    await until("the first member has all", () => first.owns.length === 4);
    const second = await member("rebalance", name);
    await second.collect();
    await until("two members share", () => first.owns.length === 2 && second.owns.length === 2);
    same([0, 1, 2, 3], [...first.owns, ...second.owns].sort(), "partitions that somebody has");
    await second.consumer.disconnect();
    await until("the first member has all again", () => first.owns.length === 4 && new Set([...first.seen, ...second.seen]).size === 4);
    await first.consumer.disconnect();
  },

  async group_resume(protocol) {
    classicOnly(protocol);
    const name = await topic("resume");
    await fill(name, values("v", 20));
    const first = await member("resume", name);
    await first.collect();
    await until("20 records", () => first.seen.length === 20);
    await first.consumer.commitOffsets([{ topic: name, partition: 0, offset: "10", metadata: "half" }]);
    await first.consumer.disconnect();
    const [{ partitions }] = await admin.fetchOffsets({ groupId: `${args.name}-resume-classic`, topics: [name] });
    same(["10", "half"], [partitions[0].offset, partitions[0].metadata], "committed");
    const second = await member("resume", name);
    await second.collect();
    await until("the other ten", () => second.seen.length >= 10);
    same(values("v", 20).slice(10), second.seen, "resumed with");
    await second.consumer.disconnect();
  },

  async groups_described(protocol) {
    classicOnly(protocol);
    const group = `${args.name}-described-classic`;
    const name = await topic("described", 2);
    const self = await member("described", name);
    await self.collect();
    await until("assigned", () => self.owns.length === 2);
    const described = async () => (await admin.describeGroups([group])).groups[0];
    const found = await described();
    same(["Stable", 1], [found.state, found.members.length], "described");
    const listed = async () => (await admin.listGroups()).groups.some(({ groupId }) => groupId === group);
    same(true, await listed(), "listed");
    await self.consumer.commitOffsets([{ topic: name, partition: 0, offset: "0" }]);
    await self.consumer.disconnect();
    same("Empty", (await described()).state, "state when all left");
    await admin.deleteGroups([group]);
    same(false, await listed(), "still listed");
  },

  async offsets_by_time() {
    const name = await topic("times");
    const base = Date.now() - 100_000;
    await producing({}, async (producer) => {
      for (let number = 0; number < 10; number++) {
        await producer.send({ topic: name, messages: [{ value: "v", partition: 0, timestamp: `${base + number * 1000}` }] });
      }
    });
    const [ends] = await admin.fetchTopicOffsets(name);
    same(["0", "10"], [ends.low, ends.high], "earliest and latest");
    const at = async (timestamp) => (await admin.fetchTopicOffsetsByTimestamp(name, timestamp))[0].offset;
    same("5", await at(base + 5000), "at an exact time");
    same("6", await at(base + 5001), "between two times");
    // Where Kafka finds nothing, KafkaJS answers the end.
    same("10", await at(base + 60_000), "after all");
  },

  async configs() {
    const name = await topic("configs");
    const resource = { type: ConfigResourceTypes.TOPIC, name };
    const becomes = (value, source) =>
      until(`${value} from ${source}`, async () => {
        const { resources } = await admin.describeConfigs({ resources: [{ ...resource, configNames: ["retention.ms"] }] });
        const [entry] = resources[0].configEntries;
        return entry.configValue === value && entry.configSource === source;
      });
    const [ofTopic, byDefault] = [1, 5];
    await becomes("604800000", byDefault);
    await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "7200000" }] }] });
    await becomes("7200000", ofTopic);
    // The legacy call replaces everything that was set.
    await admin.alterConfigs({ resources: [{ ...resource, configEntries: [] }] });
    await becomes("604800000", byDefault);
  },

  async delete_records() {
    const name = await topic("deleted");
    await fill(name, values("v", 10));
    // KafkaJS only deletes from topics that this client has asked about.
    same("0", (await admin.fetchTopicOffsets(name))[0].low, "earliest");
    await admin.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: "5" }] });
    same("5", (await admin.fetchTopicOffsets(name))[0].low, "earliest");
    same(values("v", 10).slice(5), await readTo(name, "v9"), "what is left");
  },
};

admin.connect().then(() => run(checks));
