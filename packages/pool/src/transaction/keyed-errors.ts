/** What the caller of a write under a key is told when it cannot be given its result. */

import { type CommitReason, codeOf, IdempotencyKeyError, OutcomeUnknownError } from '@thaw/core'
import type { Loss } from '../connection/lost-statement.ts'
import { KEY_TABLE, keyTrouble, ROW_HELD } from './key-table.ts'
import { nothingStored } from './nothing-stored.ts'

const CREATE_IT = 'Create it once: await pool.createIdempotencyTable(), or IDEMPOTENCY_SQL of the package in a migration.'

/** With a schema for each tenant there may be a table of keys in each. A row that is not in this session's says nothing of one in the other's. */
export class SeveralTables extends Error {}
export const SEVERAL = 'its session had state of its own (SET), and there are several tables of keys'

/** Another session holds the key's row, and may give it back. */
export function isHeld(told: object): boolean {
  return 'severity' in told && codeOf(told) === ROW_HELD
}

export function notStored({ cause, where }: Pick<Loss, 'cause' | 'where'>): Error {
  const message = `the connection to ${where} was lost, and the table of keys has been asked: nothing was stored, and nothing of it will be. Send it again under the same key.`
  return nothingStored(cause, { outcome: 'not-executed', reason: 'unsent' }, message)
}

/** `refusal`: why the server will not tell. */
export function unknownKey({ cause, where }: Pick<Loss, 'cause' | 'where'>, refusal?: object): OutcomeUnknownError {
  const isSeveral = refusal instanceof SeveralTables
  const isMissing = keyTrouble(refusal ?? {}) === 'no-table'
  const why = isMissing
    ? `the table ${KEY_TABLE}, which would tell, is not there. ${CREATE_IT} Then send it`
    : isSeveral
      ? `${refusal.message}, so that no other session can tell. Look at what it writes before you send it`
      : refusal && isHeld(refusal)
        ? 'another session at the server still holds the row of its key. Once that has ended, send it'
        : refusal instanceof Error
          ? `the server refuses to ask the table of keys (${refusal.message}). Once it does not, send it`
          : 'the table of keys could not be asked. Send it'
  return new OutcomeUnknownError({
    reason: 'key-not-asked' satisfies CommitReason | 'key-not-asked',
    message: `${cause.message}: the connection to ${where} was lost after the statement was sent, and ${why} again under the same key${isSeveral ? '' : ', or call pool.outcome(error)'}.`,
    cause,
    evidence: {
      statement: 'write',
      inTransaction: false,
      answered: false,
      host: where,
      settledBy: isSeveral
        ? 'a look at what it writes, or the same call in a session with the same state'
        : 'the same call again, under the same key; or pool.outcome(error)',
    },
  })
}

export function anotherStatement(key: string): Error {
  return new IdempotencyKeyError({
    reason: 'another-statement',
    message: `The idempotency key "${key}" was used before, with another statement or other values. Nothing was executed. Make a new key for each request, and give it the same values each time it is tried.`,
  })
}

export function keyError(trouble: 'taken' | 'expired' | 'hidden' | 'no-table', key: string, cause: Error): Error {
  if (trouble === 'expired') {
    return new IdempotencyKeyError({
      reason: 'expired',
      message: `The idempotency key "${key}" was made more than seven days ago, and what became of it may have been forgotten. Nothing was executed.`,
      cause,
    })
  }
  if (trouble === 'hidden') {
    return new IdempotencyKeyError({
      reason: 'hidden',
      message: `The idempotency key "${key}" is taken, but this role does not see its row in ${KEY_TABLE}. This call has stored nothing; what the first one did is not known. With row-level security the table needs policies for SELECT, INSERT and UPDATE that cover all of the role's keys.`,
      cause,
    })
  }
  return new IdempotencyKeyError({
    reason: 'no-table',
    message: `The table ${KEY_TABLE}, in which idempotency keys are kept, is not there. Nothing was executed. ${CREATE_IT}`,
    cause,
  })
}
