/** Who logs in gets a signed token, and shows it from then on: the instance that is asked next need not be the one that gave it. */

import type { Request } from 'express'
import { jwtVerify, SignJWT } from 'jose'
import { Refusal } from './errors.ts'
import { settings } from './settings.ts'

const secret = new TextEncoder().encode(settings.JWT_SECRET)

export function signToken(accountId: number): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(String(accountId))
    .setIssuedAt()
    .setExpirationTime('12h')
    .sign(secret)
}

/** The account that asks. Throws a 401 if the request has no valid token. */
export async function accountOf(request: Request): Promise<number> {
  const token = request.get('authorization')?.match(/^Bearer (\S+)$/i)?.[1]
  const verified = token && (await jwtVerify(token, secret, { algorithms: ['HS256'] }).catch(() => undefined))
  if (!verified) throw new Refusal(401, 'unauthorized', 'Log in, and send the token: "Authorization: Bearer …".')
  return Number(verified.payload.sub)
}
