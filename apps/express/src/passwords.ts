/** Passwords are stored as scrypt hashes, each with its own salt. */

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(scrypt) as (password: string, salt: Buffer, length: number) => Promise<Buffer>
const SALT_BYTES = 16
const HASH_BYTES = 32

/** What to store of a password: salt and hash, with a dot between them. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, salt, HASH_BYTES)
  return `${salt.toString('base64url')}.${hash.toString('base64url')}`
}

/** Of no account, so that an unknown email takes as long as a wrong password, and the two cannot be told apart. */
const NOBODY = `${randomBytes(SALT_BYTES).toString('base64url')}.${randomBytes(HASH_BYTES).toString('base64url')}`

export async function isPassword(password: string, stored: string | undefined): Promise<boolean> {
  const [salt = '', hash = ''] = (stored ?? NOBODY).split('.')
  const derived = await derive(password, Buffer.from(salt, 'base64url'), HASH_BYTES)
  return timingSafeEqual(derived, Buffer.from(hash, 'base64url'))
}
