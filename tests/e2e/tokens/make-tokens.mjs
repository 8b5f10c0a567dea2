// Makes keys and tokens with npm jose (first: npm ci --prefix tests/e2e/tokens). One JSON request on stdin, one JSON
// answer on stdout.
//
// {"keys":   [{"kid": "k1", "alg": "RS256",        // any of jose's; HS: a secret of the digest's length
//              "crv": "Ed448", "modulusLength": 3072,  // optional
//              "private_jwk": {…}}],               // optional: use this key instead of making one
//  "tokens": [{"name": "good", "key": "k1",
//              "header": {"typ": "at+jwt", "kid": null},  // added to alg and kid; null takes one away
//              "claims": {"iss": …}}]}              // signed as they stand, right or wrong
//
// {"keys":        {"k1": {"alg", "public_jwk", "private_jwk", "public_pem", "private_pem"} or, for HS, {"alg", "secret_jwk"}},
//  "jwks":        {"keys": […]},  // the public ones
//  "secret_jwks": {"keys": […]},  // the HS ones
//  "tokens":      {"good": "eyJ…"}}
import { randomBytes } from 'node:crypto'
import { CompactSign, exportJWK, exportPKCS8, exportSPKI, generateKeyPair, importJWK } from 'jose'
import { answer, readRequest } from './stdio.mjs'

function publicPart(jwk) {
  const { d, p, q, dp, dq, qi, oth, ...rest } = jwk
  return rest
}

function makeSecret({ kid, alg, private_jwk }) {
  const k = private_jwk?.k ?? randomBytes(Number(alg.slice(2)) / 8).toString('base64url')
  return { alg, secret_jwk: { kty: 'oct', kid, alg, use: 'sig', k } }
}

async function makePair({ kid, alg, crv, modulusLength, private_jwk }) {
  const made = private_jwk
    ? { privateKey: await importJWK(private_jwk, alg), publicKey: await importJWK(publicPart(private_jwk), alg) }
    : await generateKeyPair(alg, { crv, modulusLength, extractable: true })
  const named = { kid, alg, use: 'sig' }
  return {
    alg,
    public_jwk: { ...(await exportJWK(made.publicKey)), ...named },
    private_jwk: { ...(await exportJWK(made.privateKey)), ...named },
    public_pem: await exportSPKI(made.publicKey),
    private_pem: await exportPKCS8(made.privateKey),
  }
}

async function makeToken(token, key) {
  const header = Object.entries({ alg: key.alg, kid: token.key, ...token.header }).filter(([, value]) => value !== null)
  const payload = new TextEncoder().encode(JSON.stringify(token.claims))
  const secret = await importJWK(key.private_jwk ?? key.secret_jwk, key.alg)
  return new CompactSign(payload).setProtectedHeader(Object.fromEntries(header)).sign(secret)
}

const request = await readRequest()
const keys = {}
for (const wanted of request.keys) {
  keys[wanted.kid] = await (wanted.alg.startsWith('HS') ? makeSecret(wanted) : makePair(wanted))
}
const tokens = {}
for (const token of request.tokens ?? []) {
  tokens[token.name] = await makeToken(token, keys[token.key])
}
const all = Object.values(keys)
answer({
  keys,
  jwks: { keys: all.filter((key) => key.public_jwk).map((key) => key.public_jwk) },
  secret_jwks: { keys: all.filter((key) => key.secret_jwk).map((key) => key.secret_jwk) },
  tokens,
})
