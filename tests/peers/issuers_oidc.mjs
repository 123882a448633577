// A real authorization server (npm oidc-provider) with one client for each way to prove itself. Its secrets and keys are
// given by files, its port is written to one. What its tokens are worth is asked of its own introspection endpoint.
//
//   node issuers_oidc.mjs PORT_FILE SECRET_FILE PUBLIC_JWK_FILE
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [portFile, secretFile, jwkFile] = process.argv.slice(2);
const require = createRequire(path.join(process.env.PEERS_NODE_MODULES, 'x.js'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const secret = fs.readFileSync(secretFile, 'utf8');
  const client = (id, method, more) => ({
    client_id: id, token_endpoint_auth_method: method, grant_types: ['client_credentials'], redirect_uris: [],
    response_types: [], scope: 'notes:read notes:write', ...more,
  });
  const provider = new Provider(issuer, {
    clients: [
      client('by-basic', 'client_secret_basic', { client_secret: secret }),
      client('by-post', 'client_secret_post', { client_secret: secret }),
      client('by-key', 'private_key_jwt', { jwks: { keys: [JSON.parse(fs.readFileSync(jwkFile, 'utf8'))] } }),
    ],
    scopes: ['notes:read', 'notes:write'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (_, indicator) => {
          if (!indicator.startsWith('https://api.acme.dev/')) throw new Error('unknown resource');
          return { scope: 'notes:read notes:write', accessTokenFormat: 'opaque', accessTokenTTL: 600 };
        },
      },
    },
  });
  provider.on('server_error', (_, error) => console.error(error));
  server.on('request', provider.callback());
  fs.writeFileSync(`${portFile}.new`, String(server.address().port));
  fs.renameSync(`${portFile}.new`, portFile);
});
