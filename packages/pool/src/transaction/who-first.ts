/**
 * Who is the server? Asked in front of the user's first statement that may take its time, and let out at once. Should the rest of the flight fall silent, it is known after which backend to ask.
 * And if not even that is answered, it is no slow statement that is waited for.
 */

import { askWho, type Backend, backendOf } from './backend.ts'
import { textOf } from './config.ts'
import type { FlightStatement, Landing } from './flight.ts'
import type { FlightTag } from './flight-tag.ts'

/** What looks at nothing. A question in front of it, or behind it before the next statement, would take the transaction's snapshot, before the lock that comes next has been granted. */
const NO_SNAPSHOT = /^(?:\s|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*(?:set|lock|savepoint|release)\b/i

export function takesNoSnapshot(text: string | undefined): boolean {
  return NO_SNAPSHOT.test(text ?? '')
}

/** In front of which of the statements there may be a question: SET TRANSACTION must come before anything that looks at the database. None: their number. */
export function placeOfQuestion(statements: readonly FlightStatement[]): number {
  const place = statements.findIndex(({ config }) => !takesNoSnapshot(textOf(config)))
  return place < 0 ? statements.length : place
}

/** The statements with the question among them, which takes the tag. */
export function withWho(
  statements: readonly FlightStatement[],
  place: number,
  told: (backend: Backend | undefined) => void,
  tag: FlightTag | undefined,
): readonly FlightStatement[] {
  const question = { ...askWho(tag), flushes: true, answered: (answer: unknown) => told(backendOf(answer)) }
  return [...statements.slice(0, place), question, ...statements.slice(place)]
}

/** As if the question had not been among them. `isRefused`: the error is its own. */
export function withoutWho({ results, failedAt, ...rest }: Landing, place: number): Landing & { readonly isRefused: boolean } {
  return {
    results: [...results.slice(0, place), ...results.slice(place + 1)],
    failedAt: failedAt > place ? failedAt - 1 : failedAt,
    isRefused: failedAt === place,
    ...rest,
  }
}
