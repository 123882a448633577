// One scenario of the MCP conformance suite, with `hallpass mcp bridge` as the client: speaks to it on stdio, and does what
// its errors say a person would do. The person's browser is a fetch that follows redirects: the suite's authorization
// server asks nothing.
//
//   node conformance_client.mjs SERVER_URL      the suite sets MCP_CONFORMANCE_SCENARIO and MCP_CONFORMANCE_CONTEXT
import { spawn, spawnSync } from 'node:child_process';
import readline from 'node:readline';

const hallpass = process.env.HALLPASS;
const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT || '{}');
const name = scenario.replace(/[^a-z0-9]+/g, '-');
// The only scenario in which an operation may fail for good.
const MAX_LOGINS = 2;

function run(args, input = '') {
  const ran = spawnSync(hallpass, args, { input, encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`hallpass ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}

function grant() {
  for (const who of [`mcp-${name}`, process.env.PEERS_YOU].filter(Boolean)) run(['grant', 'add', who, `${name}:*`]);
}

let who = ['--client-document', 'https://conformance-test.local/client-metadata.json'];
if (scenario.includes('/client-credentials-')) {
  const byKey = 'private_key_pem' in context;
  run(['credential', 'add', name], byKey ? context.private_key_pem : context.client_secret);
  run(['issuer', 'add', 'oauth', name, '--protected-resource', url, '--client-id', context.client_id,
    '--auth', byKey ? 'private_key_jwt' : 'client_secret_basic', '--scope', 'access=', '--allow-private']);
  run(['mcp', 'add', name, url, '--want', `${name}:access`]);
  grant();
} else {
  run(['mcp', 'add', name, url]);
  if (context.client_id) {
    run(['credential', 'add', `${name}-client`], context.client_secret);
    who = ['--client-id', context.client_id, '--client-credential', `${name}-client`];
  }
}

let logins = 0;
async function login() {
  if (++logins > MAX_LOGINS) throw new Error('signed in often enough');
  const child = spawn(hallpass, ['mcp', 'login', name, '--browser', '--no-open', ...who], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  const ended = new Promise((resolve) => child.on('close', resolve));
  for await (const line of readline.createInterface({ input: child.stderr })) {
    said.push(line);
    const at = line.match(/^open (\S+)$/)?.[1];
    if (at) await (await fetch(at)).text();
  }
  const code = await ended;
  console.error(`mcp login: ${code} ${said.join(' | ')}`);
  if (code !== 0) throw new Error(said.join('\n'));
  if (logins === 1) grant();
}

const bridge = spawn(hallpass, ['mcp', 'bridge', name], { stdio: ['pipe', 'pipe', 'inherit'] });
const waiting = new Map();
readline.createInterface({ input: bridge.stdout }).on('line', (line) => {
  const message = JSON.parse(line);
  waiting.get(message.id)?.(message);
});
let id = 0;
function send(method, params) {
  const message = { jsonrpc: '2.0', id: ++id, method, params };
  bridge.stdin.write(`${JSON.stringify(message)}\n`);
  return new Promise((resolve) => waiting.set(message.id, resolve));
}

async function request(method, params) {
  for (;;) {
    const answer = await send(method, params);
    if (!answer.error) return answer.result;
    const hint = answer.error.data?.hint ?? '';
    console.error(`${method}: ${answer.error.message} (${hint})`);
    if (!hint.includes(`hallpass mcp login ${name}`)) throw new Error(answer.error.message);
    await login();
  }
}

let code = 0;
try {
  await request('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'peer', version: '1' } });
  bridge.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`);
  await request('tools/list', {});
  await request('tools/call', { name: 'test-tool', arguments: {} });
} catch (error) {
  console.error(error.message);
  code = 1;
}
bridge.stdin.end();
await new Promise((resolve) => bridge.on('close', resolve));
process.exit(code);
