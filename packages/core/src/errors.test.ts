import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import * as source from './errors.ts'
import { AcquireTimeoutError, ConnectError, OptionError, ThawError } from './errors.ts'

type Copy = Pick<
  typeof source,
  'AcquireTimeoutError' | 'ConnectError' | 'OptionError' | 'ScopeError' | 'ThawError' | 'TransactionOpenError'
>

const cause = Object.assign(new Error('connect ECONNREFUSED postgres://app:hunter2@db'), {
  code: 'ECONNREFUSED',
  errno: -111,
  syscall: 'connect',
})

/** One of each kind, as a pool makes them. */
function one(copy: Copy): readonly [name: string, kind: source.ErrorKind, retryable: boolean, error: source.ThawError][] {
  return [
    [
      'AcquireTimeoutError',
      'acquire-timeout',
      true,
      new copy.AcquireTimeoutError({ stage: 'wait', waitedMillis: 9, message: 'All in use.', cause }),
    ],
    ['ConnectError', 'connect', true, new copy.ConnectError({ stage: 'tcp', attempts: 3, message: 'No way.', cause, wire: cause })],
    ['OptionError', 'option', false, new copy.OptionError({ option: 'max', allowed: 'a number', message: 'Wrong.' })],
    ['ScopeError', 'scope', false, new copy.ScopeError({ message: 'Elsewhere.' })],
    ['TransactionOpenError', 'transaction-open', false, new copy.TransactionOpenError('Left open.')],
  ]
}

test.each(one(source))('a %s says its kind, and whether asking again may help', (name, kind, retryable, error) => {
  expect(error).toBeInstanceOf(Error)
  expect(error).toBeInstanceOf(ThawError)
  expect({ name: error.name, kind: error.kind, retryable: error.retryable }).toEqual({ name, kind, retryable })
  expect(error.stack).toContain(name === 'ThawError' ? name : error.message)
})

test.each(one(source))('a %s links to its section of the reference', (_, kind, __, error) => {
  expect(error.message).toMatch(new RegExp(`^[A-Z][^.]*\\. See https://[^ ]+/docs/reference/errors\\.md#${kind}$`))
})

test.each(one(source))('%s as JSON or text shows neither its cause nor anything that is hidden', (_, __, ___, error) => {
  expect(`${JSON.stringify(error)} ${String(error)}`).not.toContain('hunter2')
  expect(Object.keys(error)).not.toContain('cause')
  expect(Object.getOwnPropertySymbols(error).filter((symbol) => Object.prototype.propertyIsEnumerable.call(error, symbol))).toEqual([])
})

test('its kind narrows what ThawError.is() found to its class', () => {
  const told = (error: unknown): string | undefined => {
    if (!ThawError.is(error)) return undefined
    // Where the root is wanted, it fits.
    const root: ThawError = error
    if (error.kind === 'acquire-timeout') return `${error.stage} for ${error.waitedMillis} ms`
    if (error.kind === 'option') return error.option
    if (error.kind === 'outcome-unknown' || error.kind === 'connection-lost') return `${error.outcome}: ${error.reason}`
    return root.message
  }
  const isOurs: (error: unknown) => error is ThawError = ThawError.is
  const [timeout, , option] = one(source).map(([, , , error]) => error)
  expect([timeout, option, new Error('not ours')].map(told)).toEqual(['wait for 9 ms', 'max', undefined])
  expect([timeout, cause].filter(isOurs)).toEqual([timeout])
})

test('an error made of a failure has it as its cause, the same object', () => {
  for (const [, kind, , error] of one(source))
    expect(error.cause).toBe(kind === 'connect' || kind === 'acquire-timeout' ? cause : undefined)
})

test('an error without a cause has no such property', () => {
  expect('cause' in new OptionError({ option: 'max', allowed: 'a number', message: 'Wrong.' })).toBe(false)
  expect('cause' in new AcquireTimeoutError({ stage: 'wait', waitedMillis: 9, message: 'All in use.' })).toBe(false)
})

test('an AcquireTimeoutError says what was waited for, and how long', () => {
  const error = new AcquireTimeoutError({ stage: 'probe', waitedMillis: 512, message: 'No answer.' })
  expect({ stage: error.stage, waitedMillis: error.waitedMillis }).toEqual({ stage: 'probe', waitedMillis: 512 })
})

test("a ConnectError carries the socket's own code, errno and syscall, which other people's predicates read", () => {
  const error = new ConnectError({ stage: 'tcp', attempts: 3, message: 'No way.', cause, wire: cause })
  expect(error).toMatchObject({ stage: 'tcp', attempts: 3, code: 'ECONNREFUSED', errno: -111, syscall: 'connect' })
})

test.each([[{}], [{ code: undefined, errno: undefined, syscall: undefined }]])(
  'a ConnectError has no property for what is not known (%o)',
  (wire) => {
    const error = new ConnectError({ stage: 'startup', attempts: 1, message: 'No way.', wire })
    expect(Object.keys(error).sort()).toEqual(['attempts', 'kind', 'name', 'retryable', 'stage'])
  },
)

test('an OptionError names the option, and what would be accepted', () => {
  expect(new OptionError({ option: 'max', allowed: 'a number', message: 'Wrong.' })).toMatchObject({ option: 'max', allowed: 'a number' })
})

test.each<[sentence: string, value: unknown]>([
  ['an ordinary error', new Error('lost')],
  ['something that only looks like one', { name: 'ThawError', kind: 'connect', retryable: true }],
  ['the cause of one of ours', cause],
  ['a string', 'ThawError'],
  ['null', null],
  ['nothing', undefined],
  ['the class itself', ThawError],
])('%s is none of ours', (_, value) => {
  expect(ThawError.is(value)).toBe(false)
})

// Three copies of the package, as when one user imports it, another requires it, and a third has its own.
const copies: readonly [name: string, copy: Copy][] = [
  ['source', source],
  ['built ES module', await import('../dist/index.mjs')],
  ['built CommonJS', createRequire(import.meta.url)('../dist/index.cjs') as Copy],
]

const pairs = copies.flatMap(([maker, made]) => copies.map(([judge, judging]) => [maker, judge, made, judging] as const))

test.each(pairs)('an error of the %s copy is known to the %s copy', (maker, judge, made, judging) => {
  for (const [name, kind, , error] of one(made)) {
    expect(judging.ThawError.is(error)).toBe(true)
    expect({ name: error.name, kind: error.kind }).toEqual({ name, kind })
    // The reason for the brand.
    expect(error instanceof judging.ThawError).toBe(maker === judge)
  }
})
