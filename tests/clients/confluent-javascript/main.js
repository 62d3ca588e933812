// The list of checks with @confluentinc/kafka-javascript, that is librdkafka, by its promise-based interface.
"use strict";

const { KafkaJS } = require("@confluentinc/kafka-javascript");
const { args, run, skip, until, values, same, LONG } = require("../matrix.js");

const kafka = new KafkaJS.Kafka({ kafkaJS: { brokers: [args.bootstrap], logLevel: KafkaJS.logLevel.NOTHING } });
const admin = kafka.admin();
let readers = 0;

async function topic(what, numPartitions = 1, configEntries = []) {
  const name = `${args.name}-${what}`;
  const created = await admin.createTopics({ topics: [{ topic: name, numPartitions, replicationFactor: 1, configEntries }] });
  same(true, created, "created");
  // A broker learns of a new topic a moment after the controller has acknowledged it.
  await until("listed", async () => (await admin.listTopics()).includes(name));
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

async function read(name, readUncommitted, enough) {
  const found = [];
  const consumer = kafka.consumer({
    kafkaJS: { groupId: `${args.name}-reader-${readers++}`, readUncommitted, fromBeginning: true, autoCommit: false },
  });
  await consumer.connect();
  await consumer.subscribe({ topic: name });
  await consumer.run({ eachMessage: async ({ partition, message }) => void found.push({ partition, value: message.value.toString() }) });
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
async function member(group, protocol, name, eachMessage) {
  const consumer = kafka.consumer({
    kafkaJS: { groupId: `${args.name}-${group}-${protocol}`, fromBeginning: true, autoCommit: false },
    "group.protocol": protocol,
  });
  const self = { consumer, seen: [], owns: () => consumer.assignment().map(({ partition }) => partition) };
  await consumer.connect();
  await consumer.subscribe({ topic: name });
  await consumer.run({ eachMessage: eachMessage ?? (async ({ message }) => void self.seen.push(message.value.toString())) });
  return self;
}

const checks = {
  async create_topic() {
    const name = await topic("created", 3, [{ name: "retention.ms", value: "3600000" }]);
    const [found] = await admin.fetchTopicMetadata({ topics: [name] });
    same(3, found.partitions.length, "partitions");
    same(false, await admin.createTopics({ topics: [{ topic: name, numPartitions: 3 }] }), "created again");
  },

  async produce(codec) {
    const name = await topic(codec);
    const texts = values(LONG, 100);
    await producing({ "compression.codec": codec, "linger.ms": 20 }, (producer) => producer.send({ topic: name, messages: messages(texts) }));
    same(texts, await readTo(name, texts[99]), "what was read");
  },

  async idempotent() {
    const name = await topic("idempotent", 3);
    await producing({ "enable.idempotence": true, "batch.size": 200 }, async (producer) => {
      const numbers = Array.from({ length: 600 }, (_, index) => index);
      const message = (number) => ({ value: `${number}`, partition: number % 3 });
      // A broker that does not know the new topic yet may refuse the first batch of a producer and take the second.
      await producer.send({ topic: name, messages: numbers.slice(0, 3).map(message) });
      await producer.send({ topic: name, messages: numbers.slice(3).map(message) });
    });
    const found = await read(name, true, (found) => found.length >= 600);
    for (const partition of [0, 1, 2]) {
      const numbers = found.filter((one) => one.partition === partition).map(({ value }) => Number(value));
      same(Array.from({ length: 200 }, (_, index) => partition + 3 * index), numbers, `partition ${partition}`);
    }
  },

  async transactional() {
    const name = await topic("transactional");
    const settings = { kafkaJS: { transactionalId: `${args.name}-transactional` } };
    await producing(settings, async (producer) => {
      for (const [prefix, end] of [["first", "commit"], ["aborted", "abort"], ["last", "commit"]]) {
        const transaction = await producer.transaction();
        await transaction.send({ topic: name, messages: messages(values(prefix, 10)) });
        await transaction[end]();
      }
      const zombie = await producer.transaction();
      await zombie.send({ topic: name, messages: messages(["zombie0"]) });
      await producing(settings, async () => {
        const failure = await zombie.commit().then(
          () => "it committed",
          (error) => error.code,
        );
        same(KafkaJS.ErrorCodes.ERR__FENCED, failure, "the end of a fenced transaction");
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
    const [source, target] = [await topic(`transform-from-${protocol}`), await topic(`transform-to-${protocol}`)];
    const group = `${args.name}-transform-${protocol}`;
    await fill(source, values("v", 20));
    let [done, aborted] = [0, false];
    await producing({ kafkaJS: { transactionalId: `${args.name}-transform-${protocol}` } }, async (producer) => {
      const copy = async ({ message }) => {
        const once = async (end) => {
          const transaction = await producer.transaction();
          await transaction.send({ topic: target, messages: messages([`copy of ${message.value}`]) });
          const offset = `${Number(message.offset) + 1}`;
          await transaction.sendOffsets({ consumer: self.consumer, topics: [{ topic: source, partitions: [{ partition: 0, offset }] }] });
          await transaction[end]();
        };
        if (done === 5 && !aborted) {
          aborted = true;
          await once("abort");
        }
        await once("commit");
        done += 1;
      };
      let ready;
      const started = new Promise((go) => (ready = go));
      const self = await member("transform", protocol, source, (payload) => started.then(() => copy(payload)));
      ready();
      await until("all transformed", () => done >= 20);
      await self.consumer.disconnect();
    });
    same(values("copy of v", 20), await readTo(target, "copy of v19"), "what was written");
    same(21, (await readTo(target, "copy of v19", true)).length, "with the aborted copy");
    const committed = async () => `${(await admin.fetchOffsets({ groupId: group, topics: [source] }))[0].partitions[0].offset}` === "20";
    await until("the committed offset is 20", committed);
  },

  async group_rebalance(protocol) {
    const name = await topic(`rebalance-${protocol}`, 4);
    await producing({}, (producer) => producer.send({ topic: name, messages: [0, 1, 2, 3].map((partition) => ({ value: `p${partition}`, partition })) }));
    const first = await member("rebalance", protocol, name);
    await until("the first member has all", () => first.owns().length === 4);
    const second = await member("rebalance", protocol, name);
    await until("two members share", () => first.owns().length === 2 && second.owns().length === 2);
    same([0, 1, 2, 3], [...first.owns(), ...second.owns()].sort(), "partitions that somebody has");
    await second.consumer.disconnect();
    await until("the first member has all again", () => first.owns().length === 4 && new Set([...first.seen, ...second.seen]).size === 4);
    await first.consumer.disconnect();
  },

  async group_resume(protocol) {
    const name = await topic(`resume-${protocol}`);
    await fill(name, values("v", 20));
    const first = await member("resume", protocol, name);
    await until("20 records", () => first.seen.length === 20);
    await first.consumer.commitOffsets([{ topic: name, partition: 0, offset: "10", metadata: "half" }]);
    await first.consumer.disconnect();
    const [{ partitions }] = await admin.fetchOffsets({ groupId: `${args.name}-resume-${protocol}`, topics: [name] });
    same(["10", "half"], [`${partitions[0].offset}`, partitions[0].metadata], "committed");
    const second = await member("resume", protocol, name);
    await until("the other ten", () => second.seen.length >= 10);
    same(values("v", 20).slice(10), second.seen, "resumed with");
    await second.consumer.disconnect();
  },

  async groups_described(protocol) {
    const group = `${args.name}-described-${protocol}`;
    const name = await topic(`described-${protocol}`, 2);
    const self = await member("described", protocol, name);
    await until("assigned", () => self.owns().length === 2);
    const described = async () => (await admin.describeGroups([group])).groups[0];
    const found = await described();
    same([KafkaJS.ConsumerGroupStates.STABLE, 1], [found.state, found.members.length], "described");
    const listed = async () => (await admin.listGroups()).groups.some(({ groupId }) => groupId === group);
    same(true, await listed(), "listed");
    await self.consumer.commitOffsets([{ topic: name, partition: 0, offset: "0" }]);
    await self.consumer.disconnect();
    same(KafkaJS.ConsumerGroupStates.EMPTY, (await described()).state, "state when all left");
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
    // Where Kafka finds nothing, this client answers the end.
    same("10", await at(base + 60_000), "after all");
  },

  async configs() {
    skip("the client's admin interface has no settings");
  },

  async delete_records() {
    const name = await topic("deleted");
    await fill(name, values("v", 10));
    await admin.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: "5" }] });
    same("5", (await admin.fetchTopicOffsets(name))[0].low, "earliest");
    same(values("v", 10).slice(5), await readTo(name, "v9"), "what is left");
  },
};

admin.connect().then(() => run(checks));
