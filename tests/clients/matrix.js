// What the checks of every client for Node share: the command line, one line of JSON a check, bounded waits.
"use strict";

const assert = require("node:assert");
const { parseArgs } = require("node:util");

const BOUND_MS = 40_000;
const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"];
const LONG = "the same words again and again ".repeat(20);

const { values: args } = parseArgs({
  options: { bootstrap: { type: "string" }, name: { type: "string" }, only: { type: "string", default: "" } },
});

class Skipped extends Error {}

// Runs the list in its order, made of functions by name; some take a codec or a group protocol. Ends the process.
async function run(functions) {
  const checks = [["create_topic", functions.create_topic]];
  for (const codec of CODECS) checks.push([`produce_${codec}`, () => functions.produce(codec)]);
  for (const name of ["idempotent", "transactional", "read_committed"]) checks.push([name, functions[name]]);
  for (const protocol of ["classic", "consumer"]) {
    for (const name of ["group_rebalance", "group_resume", "groups_described", "transform"]) {
      checks.push([`${name}_${protocol}`, () => functions[name](protocol)]);
    }
  }
  for (const name of ["offsets_by_time", "configs", "delete_records"]) checks.push([name, functions[name]]);
  checks.push(["streams_exactly_once", () => skip("it is a Java library")]);

  let code = 0;
  for (const [name, check] of checks) {
    if (args.only && !args.only.split(",").includes(name)) continue;
    let outcome = { check: name, ok: true };
    try {
      await bounded(check());
    } catch (error) {
      if (error instanceof Skipped) {
        outcome = { check: name, skipped: error.message };
      } else {
        code = 1;
        outcome = { check: name, ok: false, error: `${error.name}: ${error.message}`.split("\n").slice(0, 6).join(" ") };
        console.error(error);
      }
    }
    console.log(JSON.stringify(outcome));
  }
  process.exit(code);
}

// A client may wait for ever inside of a call.
async function bounded(promise) {
  let timer;
  const limit = new Promise((_, failed) => {
    timer = setTimeout(() => failed(new Error("the check took too long")), 2 * BOUND_MS);
  });
  await Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

function skip(why) {
  throw new Skipped(why);
}

function classicOnly(protocol) {
  if (protocol !== "classic") skip("the client has only the classic group protocol");
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Asks again and again until the condition holds, and returns what it said.
async function until(what, condition) {
  for (const end = Date.now() + BOUND_MS; Date.now() < end; await pause(50)) {
    const answer = await condition();
    if (answer) return answer;
  }
  throw new Error(`${what}: not within ${BOUND_MS} ms`);
}

const values = (prefix, count) => Array.from({ length: count }, (_, number) => `${prefix}${number}`);
const same = (expected, found, what) => assert.deepStrictEqual(found, expected, `${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);

module.exports = { args, run, skip, classicOnly, until, values, same, LONG };
