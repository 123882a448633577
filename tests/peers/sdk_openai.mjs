// The official OpenAI SDK for Node, with nothing but its environment.
//
// Streams a chat completion, then asks for something outside the scope `chat`, which must be refused by hallpass.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.PEERS_NODE_MODULES}/`);
const { default: OpenAI, PermissionDeniedError } = require("openai");

const EXPECTED = "The upstream answered in five.";
const token = process.env.OPENAI_API_KEY ?? "";
const mark = process.env.PEERS_KEY_MARK;
assert.ok(token.startsWith(process.env.PEERS_TOKEN_PREFIX ?? "hp_"), "the environment holds another key than a token");
for (const [name, value] of Object.entries(process.env)) {
  assert.ok(!mark || name === "PEERS_KEY_MARK" || !value.includes(mark), `the real key is in ${name}`);
}

const client = new OpenAI({ maxRetries: 0 });
const ask = { model: "strict-1", messages: [{ role: "user", content: "answer in five" }] };

const words = [];
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
  words.push(chunk.choices[0]?.delta?.content ?? "");
}
assert.equal(words.join(""), EXPECTED);
assert.ok(words.length >= 5, `the stream came in ${words.length} pieces`);
assert.equal((await client.chat.completions.create(ask)).choices[0].message.content, EXPECTED);

if (process.env.PEERS_DIRECT) {
  const events = [];
  for await (const event of await client.responses.create({ model: "strict-1", input: "hi", stream: true })) {
    events.push(event.type);
  }
  assert.equal(events.at(-1), "response.completed");
  const made = await client.embeddings.create({ model: "strict-1", input: ["a", "b"] });
  assert.deepEqual(made.data.map((one) => one.embedding), [[0.25, -0.5, 0.75], [0.25, -0.5, 0.75]]);
  assert.equal((await client.models.list()).data[0].id, "strict-1");
} else {
  for (const outside of [() => client.models.list(), () => client.files.list()]) {
    await assert.rejects(outside, (error) => {
      assert.ok(error instanceof PermissionDeniedError, String(error));
      assert.equal(error.status, 403);
      assert.match(error.message, /scope/i);
      assert.ok(!error.message.includes(token));
      return true;
    });
  }
}
