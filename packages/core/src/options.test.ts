import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import { OptionError } from './errors.ts'
import { checkOptions, type OptionRules } from './options.ts'

const RULES: OptionRules = {
  trustMillis: { type: 'number', min: 0 },
  probeTimeoutMillis: { type: 'number', min: 1, max: 60_000 },
  idleTimeoutMillis: { type: 'number', min: 0 },
  max: { type: 'number', min: 1, integer: true },
  hedge: { type: 'boolean' },
  onConnect: { type: 'function' },
  clock: { type: 'object' },
  ssl: { type: 'other', allowed: 'true or an object', accepts: (value) => value === true || typeof value === 'object' },
}

function refusal(options: object, others: 'refuse' | 'pass' = 'refuse'): OptionError | undefined {
  try {
    checkOptions(options, RULES, others)
    return undefined
  } catch (error) {
    if (error instanceof OptionError) return error
    throw error
  }
}

const accepted: readonly [sentence: string, options: object][] = [
  ['no options', {}],
  ['a number within its bounds', { probeTimeoutMillis: 500 }],
  ['the lower bound', { probeTimeoutMillis: 1 }],
  ['the upper bound', { probeTimeoutMillis: 60_000 }],
  ['a fraction where none is forbidden', { trustMillis: 0.5 }],
  ['a number from an environment variable', { max: '20' }],
  ['the same with white space', { max: ' 20 ' }],
  ['no bound at all', { trustMillis: Number.POSITIVE_INFINITY, max: Number.POSITIVE_INFINITY }],
  ['undefined, which means not given', { max: undefined }],
  ['null, which means not given', { max: null, hedge: null, clock: null }],
  ['a boolean', { hedge: false }],
  ['a function', { onConnect: () => {} }],
  ['an object', { clock: {} }],
  ['what a rule of its own accepts', { ssl: true }],
]

test.each(accepted)('%s is accepted', (_, options) => {
  expect(refusal(options)).toBeUndefined()
})

const refused: readonly [sentence: string, options: object, message: string, allowed: string][] = [
  ['a number below its bound', { trustMillis: -1 }, 'Option "trustMillis" is -1, but must be a number, 0 or more.', 'a number, 0 or more'],
  [
    'a number above its bound',
    { probeTimeoutMillis: 60_001 },
    'Option "probeTimeoutMillis" is 60001, but must be a number, from 1 to 60000.',
    'a number, from 1 to 60000',
  ],
  ['a fraction', { max: 1.5 }, 'Option "max" is 1.5, but must be a whole number, 1 or more.', 'a whole number, 1 or more'],
  ['what is no number', { max: Number.NaN }, 'Option "max" is NaN, but must be a whole number, 1 or more.', 'a whole number, 1 or more'],
  [
    'minus infinity',
    { max: Number.NEGATIVE_INFINITY },
    'Option "max" is -Infinity, but must be a whole number, 1 or more.',
    'a whole number, 1 or more',
  ],
  [
    'a numeric string out of bounds',
    { max: '0' },
    'Option "max" is "0", but must be a whole number, 1 or more.',
    'a whole number, 1 or more',
  ],
  ['an empty environment variable', { max: '' }, 'Option "max" is "", but must be a whole number, 1 or more.', 'a whole number, 1 or more'],
  [
    'white space',
    { trustMillis: '  ' },
    'Option "trustMillis" is a string of 2 characters, but must be a number, 0 or more.',
    'a number, 0 or more',
  ],
  [
    'a number with a unit',
    { trustMillis: '500ms' },
    'Option "trustMillis" is a string of 5 characters, but must be a number, 0 or more.',
    'a number, 0 or more',
  ],
  ['true for a number', { max: true }, 'Option "max" is true, but must be a whole number, 1 or more.', 'a whole number, 1 or more'],
  ['a bigint', { max: 5n }, 'Option "max" is a bigint, but must be a whole number, 1 or more.', 'a whole number, 1 or more'],
  ['a string for a boolean', { hedge: 'false' }, 'Option "hedge" is a string of 5 characters, but must be a boolean.', 'a boolean'],
  ['a number for a boolean', { hedge: 0 }, 'Option "hedge" is 0, but must be a boolean.', 'a boolean'],
  ['an array for a function', { onConnect: [] }, 'Option "onConnect" is an array, but must be a function.', 'a function'],
  ['a function for an object', { clock: () => {} }, 'Option "clock" is a function, but must be an object.', 'an object'],
  [
    'what a rule of its own refuses',
    { ssl: 'require' },
    'Option "ssl" is a string of 7 characters, but must be true or an object.',
    'true or an object',
  ],
  [
    'an object for a number',
    { max: { secret: 'hunter2' } },
    'Option "max" is an object, but must be a whole number, 1 or more.',
    'a whole number, 1 or more',
  ],
]

test.each(refused)('%s is refused, with the option, the value and what is allowed', (_, options, message, allowed) => {
  const error = refusal(options)
  expect(error?.message).toBe(`${message} See https://github.com/OWNER/thaw/blob/main/docs/reference/errors.md#option`)
  expect({ option: error?.option, allowed: error?.allowed, kind: error?.kind, retryable: error?.retryable }).toEqual({
    option: Object.keys(options)[0],
    allowed,
    kind: 'option',
    retryable: false,
  })
})

test.each<[sentence: string, name: string, near: string]>([
  ['a letter too many', 'trustMilliss', 'trustMillis'],
  ['a letter too few', 'trustMilis', 'trustMillis'],
  ['another letter', 'trustMillix', 'trustMillis'],
  ['two letters in the wrong order', 'trsutMillis', 'trustMillis'],
  ['another case', 'TRUSTMILLIS', 'trustMillis'],
  ['another case and two slips', 'idletimeoutmili', 'idleTimeoutMillis'],
  ['two slips in a long name', 'probTimeoutMilis', 'probeTimeoutMillis'],
  ['another case of a short name', 'Max', 'max'],
  ['one slip in a name of middle length', 'onConect', 'onConnect'],
  ['two letters of one in the wrong order', 'onCnonect', 'onConnect'],
])('a name with %s is refused, and the right one named, whatever else is passed on', (_, name, near) => {
  for (const others of ['refuse', 'pass'] as const) {
    const error = refusal({ [name]: 1 }, others)
    expect(error).toMatchObject({ option: name, allowed: near })
    expect(error?.message).toBe(
      `There is no option "${name}". Did you mean "${near}"? See https://github.com/OWNER/thaw/blob/main/docs/reference/errors.md#option`,
    )
  }
})

test('a name that is like none of ours is refused with all names that there are', () => {
  const error = refusal({ colour: 'blue' })
  expect(error?.message).toContain('There is no option "colour". Known options: trustMillis, probeTimeoutMillis, idleTimeoutMillis, max, ')
  expect(error?.message).not.toContain('blue')
})

test.each(['colour', 'reconnect', 'connect', 'trust', 'trustSeconds', 'statement_timeout', 'password', 'ma', 'man', 'clocks'])(
  'the name %s is passed on where others are',
  (name) => {
    expect(refusal({ [name]: 'x' }, 'pass')).toBeUndefined()
  },
)

test.each(['constructor', 'toString', 'hasOwnProperty', '__proto__'])(
  '%s, which every object inherits, is an unknown name like others',
  (name) => {
    const options = Object.fromEntries([[name, 'x']])
    expect(refusal(options, 'pass')).toBeUndefined()
    expect(refusal(options)?.message).toContain(`There is no option "${name}".`)
  },
)

test('the first wrong option is the one that is told', () => {
  expect(refusal({ hedge: true, max: 0, trustMillis: -1 })?.option).toBe('max')
})

const secret = fc.string({ minLength: 4, maxLength: 60 }).filter((text) => /[^-+.eE\d\s]/.test(text))

test('a string put in the wrong place is never shown', () => {
  const name = fc.constantFrom(...Object.keys(RULES))
  fc.assert(
    fc.property(secret, name, (text, option) => {
      // Marked, since a short text may well be part of the message by chance; numbers in another notation are accepted.
      const value = `${text}§${text}`
      const error = refusal({ [option]: value })
      expect(error?.option).toBe(option)
      expect(`${String(error)} ${JSON.stringify(error)} ${error?.stack}`).not.toContain(value)
      expect(error?.message).toContain(`a string of ${value.length} characters`)
    }),
    runs(300),
  )
})

test('the value of an unknown option is never shown', () => {
  fc.assert(
    fc.property(secret, (text) => {
      const error = refusal({ passwort: `${text}§` })
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain(`${text}§`)
    }),
    runs(300),
  )
})

test('whatever is given, it is accepted or refused with an OptionError', () => {
  fc.assert(
    fc.property(fc.object({ key: fc.oneof(fc.constantFrom(...Object.keys(RULES)), fc.string()) }), (options) => {
      refusal(options)
      refusal(options, 'pass')
    }),
    runs(300),
  )
})
