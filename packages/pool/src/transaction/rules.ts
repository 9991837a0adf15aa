/** What may be sent where: checked before anything is. */

import { checkOptions, named, OptionError, type OptionRules, outlineOf, type StatementCache } from '@thaw/core'
import { hasKey } from '../connection/once-refused.ts'
import { isSubmittable } from '../driver/peer.ts'
import { checkNames } from '../options/query-config.ts'

/** Of a transaction. */
export interface TransactionOptions {
  /** Default: the server's `default_transaction_isolation`, which is `read committed` unless it was changed. */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable' | undefined
  /** Refuses writes. Default: false. */
  readonly readOnly?: boolean | undefined
  /** With `serializable` and `readOnly`: waits for a moment in which nothing can go wrong with it. Default: false. */
  readonly deferrable?: boolean | undefined
  /** How often the function may be run again, when its connection was lost before COMMIT or the server chose it to give way (40001, 40P01). 0 to 1,000. Default: 3. */
  readonly retries?: number | undefined
  /** Ends it: the wait for a connection, the statement that runs, whatever its function waits for, the pause before the next try. What is not committed is undone at once. Once COMMIT is sent nothing ends it any more. The deadline of an invocation ends it likewise. Default: none. */
  readonly signal?: AbortSignal | undefined
}

const LEVELS = ['read committed', 'repeatable read', 'serializable']
const SIGNAL = {
  type: 'other',
  allowed: 'an AbortSignal',
  accepts: (value: unknown) => typeof (value as AbortSignal | null)?.addEventListener === 'function' && 'aborted' in (value as object),
} as const

/** More is no bound. */
const MOST_RETRIES = 1_000

const RULES: OptionRules = {
  isolation: {
    type: 'other',
    allowed: LEVELS.map((level) => `'${level}'`).join(', '),
    accepts: (value) => LEVELS.includes(value as string),
  },
  readOnly: { type: 'boolean' },
  deferrable: { type: 'boolean' },
  retries: { type: 'number', min: 0, max: MOST_RETRIES, integer: true },
  signal: SIGNAL,
}

export const DEFAULT_RETRIES = 3

/** @throws {OptionError} naming the option, the value and what is allowed. */
export function checkTransaction(work: unknown, options: TransactionOptions): void {
  if (typeof work !== 'function') {
    throw new OptionError({
      option: 'fn',
      allowed: 'a function',
      message: `pool.transaction() takes a function, but was given ${named(work)}. Write pool.transaction(async (client) => { await client.query(…) }).`,
    })
  }
  checkNoGenerator(work, 'pool.transaction')
  checkObject(options, 'pool.transaction(fn, { retries: 5 })')
  checkOptions(options, RULES, 'refuse')
}

/** @throws {OptionError} for `function*`: called, it has done nothing yet, and what it returns is no promise. */
export function checkNoGenerator(work: object, name: string): void {
  if (!/^\[object (?:Async)?GeneratorFunction\]$/.test(Object.prototype.toString.call(work))) return
  throw new OptionError({
    option: 'fn',
    allowed: 'a function that returns a promise',
    message: `${name}() was given a generator function (function*), which does nothing when it is called. Write ${name}(async (client) => { await client.query(…) }).`,
  })
}

/** @throws {OptionError} */
export function checkOnceOption(once: unknown): void {
  if (once === undefined || typeof once === 'boolean') return
  throw new OptionError({
    option: 'once',
    allowed: 'true or false',
    message: `Option "once" is ${once === null ? 'null' : `of type ${typeof once}`}, but must be true or false.`,
  })
}

/** The error where `pool.query()` would take options for a callback, and send the statement without them. */
export function misplacedOptions(callback: unknown): OptionError | undefined {
  if (typeof callback !== 'object' || callback === null || !('once' in callback || 'idempotencyKey' in callback)) return undefined
  return new OptionError({
    option: 'once' in callback ? 'once' : 'idempotencyKey',
    allowed: 'in the first argument',
    message:
      'pool.query() was given its options as the third argument, which is the callback. Nothing was sent. Write pool.query({ text, values, idempotencyKey }).',
  })
}

function checkObject(options: unknown, example: string): void {
  if (typeof options === 'object' && options !== null) return
  throw new OptionError({
    option: 'options',
    allowed: 'an object',
    message: `The options are ${named(options)}, but must be an object: ${example}.`,
  })
}

/** @throws {OptionError} Each promises more than the other, so it is not known which of them was meant. */
export function checkOne(given: { readonly once?: unknown; readonly idempotencyKey?: unknown }): void {
  if (!given.once || !hasKey(given)) return
  throw new OptionError({
    option: 'once',
    allowed: 'without an idempotencyKey',
    message:
      'Options "once" and "idempotencyKey" were given together. A key does all that "once" does, and holds across processes: leave out "once".',
  })
}

/** BEGIN with its modes. */
export function beginOf({ isolation, readOnly, deferrable }: TransactionOptions): string {
  const modes = [isolation && `ISOLATION LEVEL ${isolation.toUpperCase()}`, readOnly && 'READ ONLY', deferrable && 'DEFERRABLE']
  return ['BEGIN', modes.filter(Boolean).join(', ')].filter(Boolean).join(' ')
}

/** Of a batch. */
export interface BatchOptions {
  /** Stored with the statements, see the page on exactly once. Then a lost answer is always resolved. Default: none, as with `false`. `undefined` is refused: leave the property out. */
  readonly idempotencyKey?: string | false
  /**
   * Takes one more round trip, in which the server tells what is needed to resolve a lost answer. Default: none; but where the table of idempotency keys is there, a batch that writes is put
   * under a key of its own, which resolves it too. `false`: not even that.
   */
  readonly once?: boolean | undefined
  /** Ends the wait for a connection, or the statements. Default: none. */
  readonly signal?: AbortSignal | undefined
}

const BATCH_RULES: OptionRules = { idempotencyKey: { type: 'any' }, once: { type: 'boolean' }, signal: SIGNAL }

/** @throws {OptionError} */
export function checkBatch(statements: unknown, options: BatchOptions, classify: StatementCache): void {
  checkObject(options, 'pool.batch([…], { once: true })')
  checkOptions(options, BATCH_RULES, 'refuse')
  checkOnceOption(options.once)
  checkOne(options)
  if (!Array.isArray(statements) || statements.length === 0) {
    throw new OptionError({
      option: 'statements',
      allowed: 'an array of one statement or more',
      message: `pool.batch() was given ${Array.isArray(statements) ? 'no statement' : `${named(statements)}, not an array`}. Write pool.batch([{ text, values }, …]).`,
    })
  }
  const texts = new Map<unknown, unknown>()
  for (const [index, statement] of statements.entries()) {
    const what = `Statement ${index + 1} of pool.batch()`
    checkSingle(statement, what, 'statements', classify)
    checkPart(statement, what, texts)
  }
  if (hasKey(options)) checkKey(options.idempotencyKey)
}

/** What is no error of one statement alone. `texts`: of each name, as far as has been seen. */
function checkPart(statement: unknown, what: string, texts: Map<unknown, unknown>): void {
  if (typeof statement === 'string') return
  checkNames(statement)
  const { text, name, values, once } = statement as Readonly<Record<string, unknown>>
  const refuse = (why: string) => {
    throw new OptionError({ option: 'statements', allowed: '{ text, values, name }', message: `${what} ${why}` })
  }
  if (once || hasKey(statement as object))
    refuse('has an option of its own, "once" or "idempotencyKey". A batch is stored as a whole: write pool.batch([…], { idempotencyKey }).')
  if (values !== undefined && values !== null && !Array.isArray(values))
    refuse(`has values that are ${named(values)}, but must be an array.`)
  if (!name) return
  if (texts.has(name) && texts.get(name) !== text)
    refuse(
      `has the name "${name}", which stands for another text in the same batch. A name is of one prepared statement: give it another one.`,
    )
  texts.set(name, text)
}

const LONGEST_KEY = 255
const MISSING = ' The value that was meant to be the key is missing. To send it without a key, leave the property out, or give false.'

/** Half of a character: UTF-8 has one replacement for all of them, so that two keys would be one. */
const HALF = /\p{Surrogate}/u

/** @throws {OptionError} */
export function checkKey(key: unknown): string {
  if (typeof key === 'string' && key.length > 0 && key.length <= LONGEST_KEY && !key.includes('\0') && !HALF.test(key)) return key
  const given =
    typeof key === 'string'
      ? key === ''
        ? 'empty'
        : key.includes('\0')
          ? 'a text with a NUL'
          : HALF.test(key)
            ? 'a text with half of a character (a lone surrogate)'
            : `${key.length} characters long`
      : named(key)
  throw new OptionError({
    option: 'idempotencyKey',
    allowed: `a text of 1 to ${LONGEST_KEY} characters`,
    message: `Option "idempotencyKey" is ${given}, but must be a text of 1 to ${LONGEST_KEY} characters: the id of the request, of the event or of the message, or crypto.randomUUID().${key === undefined ? MISSING : ''}`,
  })
}

/** What cannot be one statement of a transaction of ours. */
const NOT_IN_A_TRANSACTION =
  /^\s*(copy|listen|unlisten|vacuum|cluster|checkpoint|call|do|prepare|deallocate|discard|load|create\s+database|drop\s+database)\b/i
const COMMENT = /^\s*(?:--|\/\*)/

/** SET LOCAL, SET CONSTRAINTS, SET TRANSACTION. */
const SETS = /^\s*set\b/i

/**
 * One statement that the extended protocol takes, and a transaction.
 *
 * @throws {OptionError}
 */
export function checkSingle(statement: unknown, what: string, option: string, classify: StatementCache): void {
  const refuse = (why: string, fix: string) => {
    throw new OptionError({ option, allowed: 'one statement that may be part of a transaction', message: `${what} ${why}. ${fix}` })
  }
  if (isSubmittable(statement)) refuse('is a cursor or a stream', 'Use pool.transaction(): its client takes them.')
  const text = typeof statement === 'string' ? statement : (statement as { text?: unknown; name?: unknown } | null)?.text
  if (typeof text !== 'string') return refuse('has no text', 'Write { text, values }.')
  const alone = option === 'statements' ? 'Send it by pool.query(), by itself.' : 'Send it by pool.query(), without that option.'
  const first = NOT_IN_A_TRANSACTION.exec(COMMENT.test(text) ? (outlineOf(text) ?? '') : text)?.[1]
  if (first)
    refuse(
      `is ${first.toUpperCase().replace(/\s+/g, ' ')}, which cannot be ${option === 'statements' ? 'part of a batch' : 'applied exactly once'}`,
      alone,
    )
  const { kind, mayCommit, plainWrite } = classify(text)
  if (kind === 'transaction')
    refuse(
      SETS.test(text) ? 'sets something for a transaction' : 'begins or ends a transaction, or a part of one',
      SETS.test(text) ? "Use pool.transaction(), or in a batch: select set_config('name', $1, true)." : 'Use pool.transaction().',
    )
  // In a batch it is as in pool.query(): what comes behind it may need it.
  if (kind === 'session' && !plainWrite && option !== 'statements')
    refuse(
      'leaves something in its session (a setting, a temporary table, a lock), which is whichever the pool has',
      'Set sessions up by onConnect, or send it on a client of pool.connect().',
    )
  if (kind === 'unknown')
    refuse('is not one statement, or not one that is understood', 'Use pool.batch([…]) for several, or pool.transaction().')
  if (mayCommit) refuse('may commit by itself', alone)
}
