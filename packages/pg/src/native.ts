/** pg-native's socket belongs to libpq: nothing can be watched, polled or probed there. */

import { OptionError } from '@thaw/core'
import pg from 'pg'

/**
 * Takes the place of pg's `native`. Using what pg-native would provide throws. Merely inspecting it does not: mocks, snapshots, loggers and
 * bundlers ask every export for symbols, `then`, `toJSON`, `prototype` and the like, without wanting pg-native.
 *
 * @throws {OptionError} when one of pg's exports is read from it.
 */
export const native: never = new Proxy({} as Record<PropertyKey, unknown>, {
  get(target, name, receiver) {
    if (typeof name === 'string' && (name === 'native' || Object.hasOwn(pg, name))) return refuseNative()
    return Reflect.get(target, name, receiver)
  },
}) as never

function refuseNative(): never {
  throw new OptionError({
    option: 'native',
    allowed: 'the JavaScript client',
    message: '@thaw/pg does not work with pg-native, whose socket cannot be watched. Use Pool and Client of "@thaw/pg" itself.',
  })
}
