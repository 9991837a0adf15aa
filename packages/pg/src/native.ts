/** pg-native's socket belongs to libpq: nothing can be watched, swept or probed there. */

import { OptionError } from '@thaw/core'

/** @throws {OptionError} always. */
export function refuseNative(): never {
  throw new OptionError({
    option: 'native',
    allowed: 'the JavaScript client',
    message: '@thaw/pg does not work with pg-native, whose socket cannot be watched. Use Pool and Client of "@thaw/pg" itself.',
  })
}
