// An OpenID provider (oidc-provider, a certified one) over HTTPS, whose key set the tests can rotate, hide, delay and spoil. What it
// is told comes as one JSON object a line on stdin; each is answered by one line on stdout.
//
//   argv: {"port", "certificate", "key", "audience", "algorithm", "ttl"}
//   {"do": "rotate", "keep": true}       a new signing key; the old one stays published or not
//   {"do": "mode", "mode": "ok"}         how metadata and key set are answered: ok, slow, garbage, redirect, huge, error, weak
//   {"do": "counts"}                     how often they were asked for
import { createReadStream, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

console.log = console.info = console.warn = console.error; // stdout is ours

const options = JSON.parse(process.argv[2]);
const issuer = `https://localhost:${options.port}`;
const resource = 'https://bailiff.example.com/api';
const counts = { metadata: 0, jwks: 0 };
let mode = 'ok';
let keys = [];
let provider;

async function newKey() {
  const { privateKey } = await generateKeyPair(options.algorithm, { extractable: true });
  const kid = `${options.algorithm}-${options.port}-${Date.now()}-${keys.length}`;
  return { ...(await exportJWK(privateKey)), kid, alg: options.algorithm, use: 'sig' };
}

function client(id, more) {
  return { client_id: id, client_secret: `secret of ${id}`, token_endpoint_auth_method: 'client_secret_post', ...more };
}

function makeProvider() {
  const made = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['a secret of the test'] },
    clients: [
      client('batch', { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }),
      client('portal', { grant_types: ['authorization_code'], response_types: ['code'], redirect_uris: ['https://portal.example.com/back'] }),
    ].map((c) => ({ ...c, id_token_signed_response_alg: options.algorithm })),
    pkce: { required: () => true },
    scopes: ['openid', 'api'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'api',
          audience: options.audience,
          accessTokenTTL: options.ttl,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: options.algorithm } },
        }),
      },
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (ctx, token) => ({
      realm_access: { roles: [token.accountId ? `${token.accountId}-role` : 'batch-role', 'offline_access'] },
    }),
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid api');
      grant.addResourceScope(resource, 'api');
      await grant.save();
      return grant;
    },
  });
  made.on('server_error', (ctx, error) => process.stderr.write(`${error.stack}\n`));
  return made;
}

// Whoever comes to log in is who login_hint says.
async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  await provider.interactionFinished(request, response, { login: { accountId: details.params.login_hint } });
}

function spoil(kind, request, response) {
  switch (mode) {
    case 'slow':
      setTimeout(() => provider.callback()(request, response), 60000).unref();
      return true;
    case 'garbage':
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('<html>{"keys": [');
      return true;
    case 'redirect':
      response.writeHead(302, { Location: `https://127.0.0.1:${options.port}/elsewhere` }).end();
      return true;
    case 'huge':
      response.writeHead(200, { 'Content-Type': 'application/json' });
      createReadStream('/dev/zero', { end: 50 * 1024 * 1024 }).on('error', () => {}).pipe(response);
      return true;
    case 'error':
      response.writeHead(500).end('no');
      return true;
    case 'weak':
      if (kind !== 'jwks') return false;
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ keys: spoiledKeys() }));
      return true;
    default:
      return false;
  }
}

// The good key among keys that must not be used.
function spoiledKeys() {
  const good = Object.fromEntries(Object.entries(keys[0]).filter(([name]) => !['d', 'p', 'q', 'dp', 'dq', 'qi'].includes(name)));
  return [
    good,
    { kty: 'RSA', kid: 'weak', alg: 'RS256', use: 'sig', e: 'AQAB', n: 'w'.repeat(171) },
    { ...good, kid: 'encryption', use: 'enc' },
    { ...good },
    { kty: 'oct', kid: 'secret', alg: 'HS256', k: 'c'.repeat(64) },
    { kty: 'EC', kid: 'malformed', crv: 'P-256', x: 'AA', y: 'AA' },
    { ...keys[0], kid: 'private' },
    'no key at all',
  ];
}

function handle(request, response) {
  const path = request.url.split('?')[0];
  const kind = path === '/.well-known/openid-configuration' ? 'metadata' : path === '/jwks' ? 'jwks' : null;
  if (kind) {
    counts[kind] += 1;
    if (spoil(kind, request, response)) return;
  }
  if (path.startsWith('/interaction/')) {
    interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
    return;
  }
  provider.callback()(request, response);
}

async function obey(order) {
  if (order.do === 'rotate') {
    const key = await newKey();
    keys = order.keep ? [key, ...keys] : [key];
    provider = makeProvider();
    return { kid: key.kid };
  }
  if (order.do === 'mode') {
    mode = order.mode;
    return { mode };
  }
  return counts;
}

keys = [await newKey()];
provider = makeProvider();
createServer({ cert: readFileSync(options.certificate), key: readFileSync(options.key) }, handle).listen(options.port, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await obey(JSON.parse(line)))}\n`);
}
process.exit(0);
