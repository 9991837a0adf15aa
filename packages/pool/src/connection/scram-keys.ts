/**
 * SCRAM's keys, derived from a password and kept for the next login: thousands of rounds of hashing, always with the same result, are most
 * of what a login computes. RFC 5802 (section 5.1) allows a client to keep its keys for this. They are in no error and no event, and end
 * with the pool.
 */

import type { PeerClientBase, ScramSession } from '../driver/peer.ts'

type Subtle = typeof globalThis.crypto.subtle
type Key = Awaited<ReturnType<Subtle['importKey']>>

interface Keys {
  readonly client: Uint8Array<ArrayBuffer>
  readonly stored: Key
  readonly server: Key
}

interface Kept {
  readonly password: string
  readonly salt: string
  readonly iterations: number
  readonly keys: Promise<Keys>
}

/** The only mechanism without channel binding that PostgreSQL has. */
const SCRAM = 'SCRAM-SHA-256'
/** The most that pg accepts by default: more would be a server that makes us compute for hours. */
const MOST_ITERATIONS = 100_000
/** RFC 5802, section 7: `server-first-message`, without extensions. */
const SERVER_FIRST = /^r=([\x21-\x2b\x2d-\x7e]+),s=((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?),i=([1-9]\d*)$/
/** What SASLprep (RFC 4013) leaves as it is. */
const PLAIN = /^[\x20-\x7e]+$/
const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const

export class ScramKeys {
  #kept: Kept | undefined

  /** Writes the answer to the server's first message into the session. False: leave it to pg, to answer or to refuse. */
  async answer(session: ScramSession, password: unknown, serverFirst: unknown): Promise<boolean> {
    const [, nonce = '', salt, iterations] = SERVER_FIRST.exec(String(serverFirst)) ?? []
    const isNew = nonce.startsWith(session.clientNonce) && nonce.length > session.clientNonce.length
    const isOurs = session.mechanism === SCRAM && session.response.startsWith('n,,') && session.message === 'SASLInitialResponse'
    if (!isNew || !isOurs || !salt || Number(iterations) > (session.scramMaxIterations || MOST_ITERATIONS)) return false
    if (typeof password !== 'string' || !PLAIN.test(password)) return false
    const keys = await this.#keysFor(password, salt, Number(iterations))
    const final = `c=biws,r=${nonce}`
    const message = encode(`${session.response.slice('n,,'.length)},${serverFirst},${final}`)
    const [clientSignature, serverSignature] = await Promise.all([sign(keys.stored, message), sign(keys.server, message)])
    const proof = keys.client.map((byte, index) => byte ^ (clientSignature[index] ?? 0))
    session.message = 'SASLResponse'
    session.serverSignature = base64(serverSignature)
    session.response = `${final},p=${base64(proof)}`
    return true
  }

  forget(): void {
    this.#kept = undefined
  }

  /** Logins that begin together compute once. */
  #keysFor(password: string, salt: string, iterations: number): Promise<Keys> {
    const known = this.#kept
    if (known?.password === password && known.salt === salt && known.iterations === iterations) return known.keys
    const kept = { password, salt, iterations, keys: derive(password, salt, iterations) }
    this.#kept = kept
    return kept.keys
  }
}

/** Answers the server's first message by keys that are known. False: it is left to pg. */
export async function answerScram(
  {
    saslSession,
    password,
    enableChannelBinding,
    connection,
  }: Pick<PeerClientBase, 'saslSession' | 'password' | 'enableChannelBinding' | 'connection'>,
  keys: ScramKeys | undefined,
  serverFirst: unknown,
): Promise<boolean> {
  if (!saslSession || !keys || enableChannelBinding) return false
  const isAnswered = await keys.answer(saslSession, password, serverFirst).catch(() => false)
  if (isAnswered) connection.sendSCRAMClientFinalMessage(saslSession.response)
  return isAnswered
}

/** RFC 5802, section 3. */
async function derive(password: string, salt: string, iterations: number): Promise<Keys> {
  const secret = await subtle().importKey('raw', encode(password), 'PBKDF2', false, ['deriveBits'])
  const saltBytes = Uint8Array.from(atob(salt), (character) => character.charCodeAt(0))
  const salted = await subtle().deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt: saltBytes, iterations }, secret, 256)
  const key = await hmacKey(salted)
  const client = await sign(key, encode('Client Key'))
  const [stored, server] = await Promise.all([subtle().digest('SHA-256', client), sign(key, encode('Server Key'))])
  return { client, stored: await hmacKey(stored), server: await hmacKey(server) }
}

/** For computing, not for randomness. Looked up where it is used: a runtime may have none, and no password either. */
function subtle(): Subtle {
  return globalThis.crypto.subtle
}

function hmacKey(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<Key> {
  return subtle().importKey('raw', bytes, HMAC, false, ['sign'])
}

async function sign(key: Key, message: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await subtle().sign('HMAC', key, message))
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}
