// The official Anthropic SDK for Node, with nothing but its environment.
//
// Streams a message and counts tokens, then asks for something outside the scope `messages`, which must be refused
// by hallpass.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.PEERS_NODE_MODULES}/`);
const { default: Anthropic, PermissionDeniedError } = require("@anthropic-ai/sdk");

const EXPECTED = "The upstream answered in five.";
const token = process.env.ANTHROPIC_API_KEY ?? "";
const mark = process.env.PEERS_KEY_MARK;
assert.ok(token.startsWith(process.env.PEERS_TOKEN_PREFIX ?? "hp_"), "the environment holds another key than a token");
for (const [name, value] of Object.entries(process.env)) {
  assert.ok(!mark || name === "PEERS_KEY_MARK" || !value.includes(mark), `the real key is in ${name}`);
}

const client = new Anthropic({ maxRetries: 0 });
const ask = { model: "strict-1", messages: [{ role: "user", content: "answer in five" }] };

const words = [];
const stream = client.messages.stream({ ...ask, max_tokens: 64 });
stream.on("text", (text) => words.push(text));
const final = await stream.finalMessage();
assert.equal(words.join(""), EXPECTED);
assert.ok(words.length >= 5, `the stream came in ${words.length} pieces`);
assert.equal(final.stop_reason, "end_turn");
assert.equal((await client.messages.countTokens(ask)).input_tokens, 5);

if (process.env.PEERS_DIRECT) {
  assert.equal((await client.models.list()).data[0].id, "strict-1");
} else {
  await assert.rejects(
    () => client.models.list(),
    (error) => {
      assert.ok(error instanceof PermissionDeniedError, String(error));
      assert.equal(error.status, 403);
      assert.match(error.message, /scope/i);
      assert.ok(!error.message.includes(token));
      return true;
    },
  );
}
