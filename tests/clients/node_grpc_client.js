// SPDX-License-Identifier: Apache-2.0
//
// The Node client of gRPC against the daemon at MLOS_GRPC; node_grpc_test.py starts it.
"use strict";

const assert = require("node:assert");
const path = require("node:path");
const test = require("node:test");

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const PROTO = path.join(__dirname, "../../proto");
const LIMIT_MS = 60000;
const MOST_BYTES = 64 << 20; // grpc-max-message

function load(file) {
  return grpc.loadPackageDefinition(
    loader.loadSync(file, { includeDirs: [PROTO], keepCase: true, longs: Number, defaults: true }));
}

const { inference } = load("inference.proto");
const health = load("health.proto").grpc.health.v1;
const management = load("mlos/v1/management.proto").mlos.v1;
const open = [];

function connect(Service, options = {}) {
  const client = new Service(process.env.MLOS_GRPC, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    ...options,
  });
  open.push(client);
  return client;
}

test.after(() => open.forEach((client) => client.close()));

function deadline(ms = LIMIT_MS) {
  return { deadline: Date.now() + ms };
}

// The answer of a method of one, or its error.
function call(client, method, request, options = deadline(), begun = () => {}) {
  return new Promise((resolve, reject) => {
    const running = client[method](request, new grpc.Metadata(), options, (error, answer) =>
      error ? reject(error) : resolve(answer));
    begun(running);
  });
}

// All answers of a stream, and its status.
function collect(stream) {
  return new Promise((resolve) => {
    const answers = [];
    stream.on("data", (answer) => answers.push(answer));
    stream.on("error", () => {}); // the status has it
    stream.on("status", (status) => resolve({ answers, status }));
  });
}

function tensor(model, datatype, bytes, elementBytes) {
  return {
    model_name: model,
    inputs: [{ name: datatype === "FP32" && model.startsWith("identity") ? "x" : "X",
               datatype, shape: [bytes.length / elementBytes] }],
    raw_input_contents: [bytes],
  };
}

const echo = (bytes) => tensor("identity_fp32", "FP32", bytes, 4);

function slow(ms) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(ms));
  return tensor("slow", "INT64", bytes, 8);
}

const client = connect(inference.GRPCInferenceService);

test("unary", async () => {
  const bytes = Buffer.from(new Float32Array([1.5, -2]).buffer);
  const answer = await call(client, "ModelInfer", { ...echo(bytes), id: "an id" });
  assert.strictEqual(answer.id, "an id");
  assert.deepStrictEqual(answer.raw_output_contents, [bytes]);
  await assert.rejects(call(client, "ModelInfer", tensor("nobody", "FP32", bytes, 4)),
    { code: grpc.status.NOT_FOUND });
  const metadata = await call(client, "ModelMetadata", { name: "identity_fp32" });
  assert.strictEqual(metadata.inputs[0].datatype, "FP32");
});

test("a message of 64 megabytes", async () => {
  const bytes = Buffer.alloc(MOST_BYTES - 4096, "x");
  for (let i = 0; i < bytes.length; i += 4096) bytes[i] = (i >> 12) & 0xff;
  const answer = await call(client, "ModelInfer", echo(bytes));
  assert.ok(answer.raw_output_contents[0].equals(bytes));
  // One that is too large is refused at its beginning.  Node drops what is answered while it
  // still has that much to send, so the other clients' tests look at it.
});

for (const [name, algorithm] of [["deflate", 1], ["gzip", 2]]) {
  test(name, async () => {
    const packing = connect(inference.GRPCInferenceService,
      { "grpc.default_compression_algorithm": algorithm });
    const bytes = Buffer.alloc(1 << 20, "x"); // not so regular that it looks like a bomb
    for (let i = 0; i < bytes.length; i += 16) bytes[i] = ((i * i) >>> 8) & 0xff;
    const answer = await call(packing, "ModelInfer", echo(bytes));
    assert.ok(answer.raw_output_contents[0].equals(bytes));
  });
}

test("a stream keeps its order", async () => {
  const stream = client.ModelStreamInfer(new grpc.Metadata(), deadline());
  const all = collect(stream);
  const wanted = [];
  for (let i = 0; i < 100; ++i) {
    const request = echo(Buffer.alloc(4, i));
    if (i % 10 === 9) request.model_name = "nobody";
    stream.write({ ...request, id: String(i) });
    wanted.push([String(i), i % 10 === 9]);
  }
  stream.end();
  const { answers, status } = await all;
  assert.strictEqual(status.code, grpc.status.OK, status.details);
  assert.deepStrictEqual(
    answers.map((answer) => [answer.infer_response.id, answer.error_message !== ""]), wanted);
});

test("a deadline ends the work", async () => {
  const began = Date.now();
  await assert.rejects(call(client, "ModelInfer", slow(50000), deadline(300)),
    { code: grpc.status.DEADLINE_EXCEEDED });
  assert.ok(Date.now() - began < 20000);
  await call(client, "ModelInfer", slow(0));
});

test("a cancel ends the work", async () => {
  const operator = connect(management.Management);
  const inFlight = async (count) => {
    const end = Date.now() + LIMIT_MS;
    for (;;) {
      const { usage } = await call(operator, "ListUsage", {});
      if (usage.find((each) => each.name === "slow").in_flight === count) return;
      assert.ok(Date.now() < end, `not ${count} in flight in time`);
    }
  };
  let running;
  const outcome = assert.rejects(
    call(client, "ModelInfer", slow(50000), deadline(), (begun) => { running = begun; }),
    { code: grpc.status.CANCELLED });
  await inFlight(1);
  // Not from within the callback of another call of the connection: Node 20 can then turn in a
  // circle over the reset and eat all memory.
  await new Promise(setImmediate);
  running.cancel();
  await outcome;
  await inFlight(0);
  await call(client, "ModelInfer", slow(0));
});

test("health", async () => {
  const checker = connect(health.Health);
  for (const service of ["", "inference.GRPCInferenceService", "mlos.v1.Management"]) {
    assert.strictEqual((await call(checker, "Check", { service })).status, 1);
  }
  await assert.rejects(call(checker, "Check", { service: "nobody" }),
    { code: grpc.status.NOT_FOUND });
  const watch = checker.Watch({ service: "" }, new grpc.Metadata(), deadline());
  const all = collect(watch);
  watch.once("data", () => watch.cancel());
  const { answers, status } = await all;
  assert.strictEqual(answers[0].status, 1);
  assert.strictEqual(status.code, grpc.status.CANCELLED);
});

test("management", async () => {
  const operator = connect(management.Management);
  const { models } = await call(operator, "ListModels", {});
  const { path: file } = models.find((each) => each.name === "slow");
  const fields = { size: { numberValue: 3 }, team: { stringValue: "vision" } };
  const model = await call(operator, "RegisterModel",
    { name: "managed", path: file, plugin: "slow", metadata: { fields } });
  assert.strictEqual(model.state, "registered");
  assert.strictEqual(model.metadata.fields.size.numberValue, 3);
  for (const [method, state] of [["LoadModel", "ready"], ["UnloadModel", "unloaded"]]) {
    const stream = operator[method]({ name: "managed", version: "1" }, new grpc.Metadata(),
      deadline());
    const { answers, status } = await collect(stream);
    assert.strictEqual(status.code, grpc.status.OK, status.details);
    const last = answers[answers.length - 1];
    assert.deepStrictEqual([last.done, last.object.state], [true, state]);
  }
  await call(operator, "RemoveModel", { name: "managed", version: "1" });
  await assert.rejects(call(operator, "GetModel", { name: "managed", version: "1" }), (error) => {
    assert.strictEqual(error.code, grpc.status.NOT_FOUND);
    assert.strictEqual(error.metadata.get("mlos-hint").length, 1);
    return true;
  });
});
