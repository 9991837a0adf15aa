/** May a statement share a connection with others? What it is decides, and how large it is. */

import type { Paces, Statement } from '@thaw/core'
import type { Reader, Shareable } from '../connection/shared-connection.ts'
import { formOf, type QueryForm } from '../driver/query-form.ts'

/** Text and parameters together: what is larger holds up the answers behind which it is sent. */
const MOST_BYTES = 16_384

/** Null: no. Remembered with the call, which may be asked again. */
export function shareableOf(reader: Reader, classify: (text: string) => Statement, paces: Paces): Shareable | null {
  if (reader.shareable === undefined) {
    try {
      reader.shareable = judge(reader, classify, paces)
    } catch {
      // A getter of the caller's, or a proxy: the driver reads it when its turn has come, and tells this caller alone.
      reader.shareable = null
    }
  }
  return reader.shareable
}

function judge({ text, values }: Reader, classify: (text: string) => Statement, paces: Paces): Shareable | null {
  const form: QueryForm | undefined = typeof text === 'string' ? { text, values } : formOf(text, values)
  if (!form || typeof form.text !== 'string' || form.rows || form.portal || form.signal) return null
  if (form.name !== undefined && typeof form.name !== 'string') return null
  const left = MOST_BYTES - form.text.length
  if (left < 0 || (form.values !== undefined && !(Array.isArray(form.values) && sizeOf(form.values, left) <= left))) return null
  const { kind, asksSettings } = classify(form.text)
  // Raced, it would tell the settings of the race.
  if (kind !== 'read' || asksSettings) return null
  return { text: form.text, name: form.name || undefined, pace: paces.of(form.text) }
}

/** Infinity: it cannot be known without doing the driver's work. Stops counting above `most`. `isElement`: an array in an array may contain itself. */
function sizeOf(values: readonly unknown[], most: number, isElement = false): number {
  let size = 0
  for (const value of values) {
    if (typeof value === 'string') size += value.length
    else if (typeof value !== 'object' || value === null || isDate(value)) size += 8
    else if (ArrayBuffer.isView(value)) size += value.byteLength
    else if (Array.isArray(value) && !isElement) size += sizeOf(value, most - size, true)
    else return Number.POSITIVE_INFINITY
    if (size > most) return Number.POSITIVE_INFINITY
  }
  return size
}

/** Of this realm or another: it goes as a text of a known length. */
function isDate(value: object): boolean {
  return Object.prototype.toString.call(value) === '[object Date]'
}
