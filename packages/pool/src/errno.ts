/** The numbers behind two names, for predicates that want both. A table, because `node:os` is not everywhere where we are. */

interface Globals {
  readonly process?: { readonly platform?: string }
}

const LINUX = { ECONNRESET: -104, ETIMEDOUT: -110 }
/** libuv's own, where the system has others. */
const WINDOWS = { ECONNRESET: -4077, ETIMEDOUT: -4039 }
const BSD = { ECONNRESET: -54, ETIMEDOUT: -60 }

/** As Node itself gives them to its errors. */
export function errnoOf(code: 'ECONNRESET' | 'ETIMEDOUT'): number {
  const { platform = 'linux' } = (globalThis as Globals).process ?? {}
  if (platform === 'win32') return WINDOWS[code]
  return (platform === 'linux' || platform === 'android' ? LINUX : BSD)[code]
}
