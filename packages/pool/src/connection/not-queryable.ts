/** Why a client takes no statement any more, in pg's own words; and in the server's, if it has said why it ends the session before it did. */

import { codeOf } from '@thaw/core'
import { wireError } from '../driver/errno.ts'
import { NOT_QUERYABLE } from './client-messages.ts'
import type { Vitals } from './vitals.ts'

export function notQueryable(vitals: Pick<Vitals, 'endedBy'> | undefined): Error {
  const endedBy = vitals?.endedBy
  if (!endedBy) return wireError('EPIPE', NOT_QUERYABLE)
  return Object.assign(new Error(`${NOT_QUERYABLE} (${endedBy.message})`, { cause: endedBy }), { code: codeOf(endedBy) })
}
