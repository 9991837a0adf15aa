/**
 * What is applied once is what it was when it was called, however often it is sent. What its caller does to it afterwards must not be sent the second time, nor be stored under the fingerprint of
 * the first: so the values are copied, with all that is in them, where those of a plain statement are not.
 */

import { asFirstSent, rememberSent } from '../statement/as-first-sent.ts'
import type { FlightStatement } from './flight.ts'

export function asGiven(config: unknown, values: unknown): FlightStatement {
  const sent = rememberSent(config, values)
  const given = asFirstSent(sent && { ...sent, values: sent.values.map(asItIs) })
  return given ? { config: given.text, values: given.values } : { config, values }
}

/** What cannot be sent is the driver's to refuse. */
function asItIs(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  try {
    return copyOf(value, new Map())
  } catch {
    return value
  }
}

/** As the drivers tell values apart: `prepareValue` in pg's `lib/utils.js`. `known`: those that say what is sent, and may say each other. */
function copyOf(value: unknown, known: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof DataView) return new DataView(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength))
  // Buffer's own `slice` shares its bytes.
  if (ArrayBuffer.isView(value)) return Uint8Array.prototype.slice.call(value)
  // Of any realm.
  if (Object.prototype.toString.call(value) === '[object Date]') return structuredClone(value)
  if (Array.isArray(value)) return value.map((each) => copyOf(each, known))
  const { toPostgres } = value as { toPostgres?: unknown }
  if (typeof toPostgres === 'function') return known.get(value) ?? toldOnce(value, known)
  // It is what the server is sent, and the fingerprint of both is one.
  return JSON.stringify(value) ?? value
}

/** It says the same each time that it is asked by the same function, which is the driver's. */
function toldOnce(value: object, known: Map<object, object>): object {
  let told: { readonly by: unknown; readonly what: unknown } | undefined
  const toPostgres = (prepare: unknown) => {
    const ask = (value as { toPostgres(prepare: unknown): unknown }).toPostgres
    if (!told || told.by !== prepare) told = { by: prepare, what: copyOf(ask.call(value, prepare), known) }
    return told.what
  }
  const once = Object.create(value, { toPostgres: { value: toPostgres } }) as object
  known.set(value, once)
  return once
}
