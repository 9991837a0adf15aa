/** The options of `observe()`, checked where they are given. */

import { checkOptions, OptionError, type OptionRules } from '@thaw/core'

const RULES: OptionRules = {
  // What it must be able to do is checked where its meter is made.
  meterProvider: { type: 'any' },
  name: { type: 'other', allowed: 'a text that is not empty', accepts: (value) => typeof value === 'string' && value !== '' },
  attributes: {
    type: 'other',
    allowed: 'an object whose values are texts, numbers, booleans, or lists of these',
    accepts: (value) => typeof value === 'object' && !Array.isArray(value) && Object.values(value ?? {}).every(isAttribute),
  },
  spanEvents: { type: 'boolean' },
}

/** @throws {OptionError} naming the option, its value, and what to write. */
export function checkObserveOptions(options: unknown): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return checkOptions(options, RULES, 'refuse')
  const given = options === null ? 'null' : Array.isArray(options) ? 'a list' : `a value of type ${typeof options}`
  throw new OptionError({
    option: 'options',
    allowed: 'an object',
    message: `observe() received ${given} as its options. Write observe(pool, { name: 'shop' }), or leave them out.`,
  })
}

function isAttribute(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((one) => one === null || one === undefined || isPlain(one))
  return value === undefined || value === null || isPlain(value)
}

function isPlain(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}
