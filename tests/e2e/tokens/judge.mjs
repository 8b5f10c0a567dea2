// Judges tokens with npm jose (first: npm ci --prefix tests/e2e/tokens). One JSON request on stdin, one JSON answer on
// stdout.
//
// {"jwks": {"keys": […]}, "tokens": {"name": "eyJ…"},
//  "options": {"issuer": …, "audience": …, "typ": …, "algorithms": […], "clockTolerance": 30, "now": 1767323045}}  // each optional
//
// {"results": {"name": {"ok": true, "header": {…}, "claims": {…}} or {"ok": false, "code": "ERR_JWT_EXPIRED", "message": "…"}}}
import { createLocalJWKSet, importJWK, jwtVerify } from 'jose'
import { answer, readRequest } from './stdio.mjs'

const { jwks, tokens, options = {} } = await readRequest()
const { now, ...verifyOptions } = options
if (now !== undefined) {
  verifyOptions.currentDate = new Date(now * 1000)
}

// jose keeps symmetric keys out of JWK Sets; here they may be judged too
const publicKeys = createLocalJWKSet({ keys: jwks.keys.filter((jwk) => jwk.kty !== 'oct') })
const secrets = jwks.keys.filter((jwk) => jwk.kty === 'oct')

async function findKey(header, token) {
  const secret = secrets.find((jwk) => jwk.alg === header.alg && (header.kid === undefined || jwk.kid === header.kid))
  return secret ? importJWK(secret, header.alg) : publicKeys(header, token)
}

async function judge(token) {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, findKey, {
      requiredClaims: ['iss', 'aud', 'sub', 'exp'],
      ...verifyOptions,
    })
    return { ok: true, header: protectedHeader, claims: payload }
  } catch (error) {
    return { ok: false, code: error.code ?? error.name, message: error.message }
  }
}

const results = {}
for (const [name, token] of Object.entries(tokens)) {
  results[name] = await judge(token)
}
answer({ results })
