// What Claude Code does with ANTHROPIC_UNIX_SOCKET: plain HTTP/1.1 over that socket, whatever the base URL says,
// with a placeholder where the key would be. The caller's task must come from its process.

import assert from "node:assert/strict";
import http from "node:http";

const EXPECTED = "The upstream answered in five.";
const socketPath = process.env.ANTHROPIC_UNIX_SOCKET;
assert.ok(socketPath, "ANTHROPIC_UNIX_SOCKET is not set");
const mark = process.env.PEERS_KEY_MARK;
for (const [name, value] of Object.entries(process.env)) {
  assert.ok(!mark || name === "PEERS_KEY_MARK" || !value.includes(mark), `the real key is in ${name}`);
}
const base = new URL(process.env.PEERS_UNIX_BASE_URL ?? process.env.ANTHROPIC_BASE_URL ?? "http://localhost");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function send(method, path, body) {
  const text = body && JSON.stringify(body);
  const headers = {
    host: base.host,
    "x-api-key": "ssh-placeholder",
    "anthropic-version": "2023-06-01",
    ...(text && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
  };
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, agent, method, path, headers, timeout: 10_000 }, (response) => {
      const parts = [];
      response.setEncoding("utf8");
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode, text: parts.join("") }));
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error("no answer within 10 s")));
    request.on("error", reject);
    request.end(text);
  });
}

const ask = { model: "strict-1", max_tokens: 64, messages: [{ role: "user", content: "answer in five" }] };
const prefix = base.pathname.replace(/\/$/, "");

const streamed = await send("POST", `${prefix}/v1/messages?beta=true`, { ...ask, stream: true });
assert.equal(streamed.status, 200, streamed.text);
const events = streamed.text.split("\n\n").filter(Boolean).map((event) => ({
  name: /^event: (.*)$/m.exec(event)?.[1],
  data: JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "null"),
}));
assert.deepEqual([events[0].name, events.at(-1).name], ["message_start", "message_stop"]);
assert.equal(events.map((event) => event.data.delta?.text ?? "").join(""), EXPECTED);

const whole = await send("POST", `${prefix}/v1/messages`, ask);
assert.equal(whole.status, 200, whole.text);
assert.equal(JSON.parse(whole.text).content[0].text, EXPECTED);

const outside = await send("GET", `${prefix}/v1/models`);
assert.equal(outside.status, 403, `models was answered with ${outside.status}, though only messages was granted`);
assert.match(outside.text, /scope/i);
agent.destroy();
