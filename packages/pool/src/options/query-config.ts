/** The configuration of one query: `pool.query({ text, values, ...options })`. A name that is nearly one of Thaw's options would be a plain write, in silence. */

import { checkOptions, OptionError, type OptionRules } from '@thaw/core'

/** What each must be is checked where it is used. */
const OURS: OptionRules = {
  once: { type: 'any' },
  idempotencyKey: { type: 'any' },
  idempotent: { type: 'any' },
  signal: { type: 'any' },
  query_timeout: { type: 'any' },
}

/** Names of others' that were compared already: a library has the same few in each of its queries. */
const others = new Set<string>()
/** A program that makes up names gets no more of them remembered. */
const MOST_OTHERS = 100

/**
 * Why a configuration is refused, if it is. Only a plain object: one with a class of its own, a cursor or a library's query, may have any property. Asked of each statement that is an
 * object: with the usual names it takes 25 to 35 ns.
 */
export function refusesNames(config: object): OptionError | undefined {
  try {
    const prototype: unknown = Object.getPrototypeOf(config)
    if (prototype !== Object.prototype && prototype !== null) return undefined
    for (const name in config) {
      if (isUsual(name)) continue
      const refusal = name === 'idempotent' ? refusesIdempotent(config) : refusesName(name)
      if (refusal) return refusal
    }
    return undefined
  } catch {
    // A Proxy that does not tell, or a getter that throws: the driver reads it next, and says so.
    return undefined
  }
}

/** @throws {OptionError} the same. What is no object has no names. */
export function checkNames(config: unknown): void {
  const refusal = typeof config === 'object' && config !== null ? refusesNames(config) : undefined
  if (refusal) throw refusal
}

/** The driver's own, and ours whose values are checked later. A switch: half the time of a Set. */
function isUsual(name: string): boolean {
  switch (name) {
    case 'text':
    case 'values':
    case 'name':
    case 'rowMode':
    case 'types':
    case 'binary':
    case 'rows':
    case 'portal':
    case 'queryMode':
    case 'callback':
    case 'once':
    case 'idempotencyKey':
    case 'signal':
    case 'query_timeout':
      return true
    default:
      return others.has(name)
  }
}

function refusesName(name: string): OptionError | undefined {
  try {
    checkOptions({ [name]: undefined }, OURS, 'pass')
  } catch (refusal) {
    return refusal as OptionError
  }
  if (others.size < MOST_OTHERS) others.add(name)
  return undefined
}

/** It is only ever compared with `true`: any other value would be no, in silence. */
function refusesIdempotent({ idempotent }: { readonly idempotent?: unknown }): OptionError | undefined {
  if (idempotent === undefined || typeof idempotent === 'boolean') return undefined
  return new OptionError({
    option: 'idempotent',
    allowed: 'true or false',
    message: `Option "idempotent" is ${idempotent === null ? 'null' : `of type ${typeof idempotent}`}, but must be true or false.`,
  })
}
