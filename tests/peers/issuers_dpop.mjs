// Judges a proof (RFC 9449) by the library that the server uses: node issuers_dpop.mjs PROOF TOKEN THUMBPRINT METHOD URL
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [proof, token, thumbprint, method, url] = process.argv.slice(2);
const require = createRequire(path.join(process.env.PEERS_NODE_MODULES, 'x.js'));
const jose = await import(pathToFileURL(require.resolve('jose')).href);

const { payload, protectedHeader } = await jose.jwtVerify(proof, jose.EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 60 });
assert.equal(await jose.calculateJwkThumbprint(protectedHeader.jwk), thumbprint);
assert.equal(payload.ath, crypto.createHash('sha256').update(token).digest('base64url'));
assert.deepEqual([payload.htm, payload.htu], [method, url]);
assert.ok(payload.jti);
