/** What is read of the statements of a flight, as their callers wrote them. What throws when it is read throws here: read it before there is a connection to be given back. */

import { ownQueryTimeoutOf } from '../options/times.ts'

export function textOf(config: unknown): string | undefined {
  const text = typeof config === 'string' ? config : (config as { text?: unknown } | null)?.text
  return typeof text === 'string' ? text : undefined
}

/** The bound of all: the longest of those that its statements are given. @throws {OptionError} if one is no number. */
export function timeoutOf(statements: readonly { readonly config: unknown }[]): number | undefined {
  let most = Number.NEGATIVE_INFINITY
  for (const { config } of statements)
    most = Math.max(most, ownQueryTimeoutOf((config as { query_timeout?: unknown } | null)?.query_timeout))
  return most || undefined
}

/** Older versions of pg write the callback into the caller's object, who may use it again. As the newer ones copy it: text may come from a prototype, or from a getter. */
export function copyOf(config: unknown): unknown {
  if (typeof config !== 'object' || config === null) return config
  return Object.create(Object.getPrototypeOf(config), Object.getOwnPropertyDescriptors(config))
}
