/** The numbers behind two names, for predicates that check both. A table, because `node:os` does not exist on every runtime. */

interface Globals {
  readonly process?: { readonly platform?: string }
}

type Code = 'ECONNRESET' | 'EPIPE' | 'ETIMEDOUT'

const LINUX = { ECONNRESET: -104, EPIPE: -32, ETIMEDOUT: -110 }
/** libuv's own, where the system has different ones. */
const WINDOWS = { ECONNRESET: -4077, EPIPE: -4047, ETIMEDOUT: -4039 }
const BSD = { ECONNRESET: -54, EPIPE: -32, ETIMEDOUT: -60 }

/** As Node itself gives them to its errors. */
export function errnoOf(code: Code): number {
  const { platform = 'linux' } = (globalThis as Globals).process ?? {}
  if (platform === 'win32') return WINDOWS[code]
  return (platform === 'linux' || platform === 'android' ? LINUX : BSD)[code]
}

/** An error of ours, in place of what Node would have reported with this code. */
export function wireError(code: Code, message: string): Error {
  return Object.assign(new Error(message), { code, errno: errnoOf(code), syscall: code === 'EPIPE' ? 'write' : 'read' })
}
