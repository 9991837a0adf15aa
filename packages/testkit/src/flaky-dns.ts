import dns, { type LookupAddress, type LookupOptions } from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { isIPv6 } from 'node:net'
import { promisify } from 'node:util'

/** Which name fails, how often, and what it resolves to then. */
export interface FlakyDnsOptions {
  readonly host: string
  /** How many lookups fail before they succeed. `Infinity`: all of them. */
  readonly times: number
  /** Default: `EAI_AGAIN`, from a resolver that is not up yet. `ENOTFOUND` is for a name that does not exist. */
  readonly code?: string
  /** The address that the name resolves to afterwards. Default: `127.0.0.1`. */
  readonly resolvesTo?: string
}

/** A name whose lookups fail. */
export interface FlakyDns extends Disposable {
  /** How often the name was looked up. */
  readonly lookups: number
  /** How many of those failed. */
  readonly failures: number
  /** Lets the name resolve as it did before. Safe to call twice. */
  restore(): void
}

interface FlakyName {
  readonly options: Required<FlakyDnsOptions>
  lookups: number
}

const ERRNO: Readonly<Record<string, number>> = { EAI_AGAIN: -3001, EAI_FAIL: -3004, ENOTFOUND: -3008 }

const names = new Map<string, FlakyName>()
let original: { readonly lookup: typeof dns.lookup; readonly promised: typeof dns.promises.lookup } | undefined

/**
 * Lets lookups of one host name fail `times` times, then succeed, for everything in this process that connects by name: `net.connect`
 * (so node-postgres), `fetch`, `dns.lookup`, `dns.promises.lookup`. Other names are looked up as ever.
 *
 * The lookups themselves are faked, so nothing leaves the machine. Throws if the same name is flaky already.
 */
export function failDns({ host, times, code = 'EAI_AGAIN', resolvesTo = '127.0.0.1' }: FlakyDnsOptions): FlakyDns {
  if (names.has(host)) throw new Error(`Lookups of '${host}' fail already: restore() the earlier failDns first.`)
  const name: FlakyName = { options: { host, times, code, resolvesTo }, lookups: 0 }
  names.set(host, name)
  patch()
  const restore = (): void => {
    if (names.get(host) === name) names.delete(host)
    if (names.size === 0) unpatch()
  }
  return {
    get lookups() {
      return name.lookups
    },
    get failures() {
      return Math.min(name.lookups, times)
    },
    restore,
    [Symbol.dispose]: restore,
  }
}

type LookupCallback = (error: Error | null, address?: string | LookupAddress[], family?: number) => void

function patch(): void {
  if (original) return
  const { lookup: lookupAsEver } = dns
  const { lookup: promisedAsEver } = dns.promises
  original = { lookup: lookupAsEver, promised: promisedAsEver }
  const lookup = (host: string, ...rest: unknown[]): void => {
    const name = names.get(host)
    // Whatever else the arguments are, they are what the original takes.
    if (!name) {
      Reflect.apply(lookupAsEver, dns, [host, ...rest])
      return
    }
    const callback = rest.at(-1) as LookupCallback
    const { all } = optionsOf(rest[0])
    const found = lookUp(name)
    // As the real one: never answers in the same turn.
    setImmediate(() => {
      if (found instanceof Error) callback(found)
      else if (all) callback(null, [found])
      else callback(null, found.address, found.family)
    })
  }
  const promised = async (host: string, options?: unknown): Promise<unknown> => {
    const name = names.get(host)
    if (!name) return Reflect.apply(promisedAsEver, dns.promises, options === undefined ? [host] : [host, options])
    const found = lookUp(name)
    if (found instanceof Error) throw found
    return optionsOf(options).all ? [found] : found
  }
  Object.assign(dns, { lookup: Object.assign(lookup, { [promisify.custom]: promised }) })
  Object.assign(dns.promises, { lookup: promised })
  // For code that wrote `import { lookup } from 'node:dns'`.
  syncBuiltinESMExports()
}

function unpatch(): void {
  if (!original) return
  Object.assign(dns, { lookup: original.lookup })
  Object.assign(dns.promises, { lookup: original.promised })
  original = undefined
  syncBuiltinESMExports()
}

function optionsOf(given: unknown): LookupOptions {
  if (typeof given === 'number') return { family: given }
  return typeof given === 'object' && given !== null ? given : {}
}

function lookUp(name: FlakyName): LookupAddress | Error {
  const { host, times, code, resolvesTo } = name.options
  if (name.lookups++ >= times) return { address: resolvesTo, family: isIPv6(resolvesTo) ? 6 : 4 }
  return Object.assign(new Error(`getaddrinfo ${code} ${host}`), { errno: ERRNO[code], code, syscall: 'getaddrinfo', hostname: host })
}
