// A real authorization server (npm oidc-provider) with one client for each way to prove itself, one that a person signs in
// with, and one that exchanges tokens. Its secrets and keys are given by files, its port is written to one. What its tokens
// are worth is asked of its own introspection endpoint. The person agrees to everything.
//
//   node issuers_oidc.mjs PORT_FILE SECRET_FILE PUBLIC_JWK_FILE
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [portFile, secretFile, jwkFile] = process.argv.slice(2);
const require = createRequire(path.join(process.env.PEERS_NODE_MODULES, 'x.js'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

// Signs "me" in and gives what is asked for.
async function agree(provider, request, response) {
  const { prompt, params, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'me' } }, { mergeWithLastSubmission: false });
  }
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: 'me', clientId: params.client_id });
  const { missingOIDCScope, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '));
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

// RFC 8693: a client's token for one that may do no more.
function exchange(provider) {
  const handler = async (ctx) => {
    const { subject_token: subject, subject_token_type: type, scope = '', resource } = ctx.oidc.params;
    const refuse = (error) => {
      ctx.status = 400;
      ctx.body = { error };
    };
    if (type !== 'urn:ietf:params:oauth:token-type:access_token') return refuse('invalid_request');
    const found = await provider.ClientCredentials.find(subject);
    if (!found || found.isExpired) return refuse('invalid_grant');
    const asked = scope.split(' ').filter(Boolean);
    if (asked.some((one) => !found.scope.split(' ').includes(one))) return refuse('invalid_scope');
    const token = new provider.ClientCredentials({ client: ctx.oidc.client, scope: asked.join(' ') });
    if (resource) token.aud = resource;
    ctx.body = {
      access_token: await token.save(), issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer', expires_in: token.expiration, scope: asked.join(' '),
    };
  };
  provider.registerGrantType(EXCHANGE, handler, ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'scope',
    'audience', 'resource', 'requested_token_type'], ['audience', 'resource']);
}

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
      {
        client_id: 'app', token_endpoint_auth_method: 'none', application_type: 'native',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        redirect_uris: ['http://127.0.0.1/callback'], response_types: ['code'],
        scope: 'openid offline_access notes:read notes:write',
      },
      client('by-dpop', 'client_secret_basic', { client_secret: secret, dpop_bound_access_tokens: true }),
      client('by-exchange', 'client_secret_basic', {
        client_secret: secret, grant_types: ['client_credentials', EXCHANGE],
      }),
      client('by-key', 'private_key_jwt', { jwks: { keys: [JSON.parse(fs.readFileSync(jwkFile, 'utf8'))] } }),
    ],
    scopes: ['openid', 'offline_access', 'notes:read', 'notes:write'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    ttl: { ClientCredentials: 600, AccessToken: 600 },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    rotateRefreshToken: true,
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      registration: { enabled: true },
      // Its nonce is wanted in every proof.
      dPoP: { enabled: true, nonceSecret: crypto.randomBytes(32), requireNonce: () => true },
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
  provider.on('grant.error', (_, error) => console.error(error.error, error.error_detail));
  provider.on('server_error', (_, error) => console.error(error));
  exchange(provider);
  const callback = provider.callback();
  server.on('request', (request, response) => {
    if (!request.url.startsWith('/interaction/')) return callback(request, response);
    agree(provider, request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  });
  fs.writeFileSync(`${portFile}.new`, String(server.address().port));
  fs.renameSync(`${portFile}.new`, portFile);
});
