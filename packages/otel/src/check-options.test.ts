import { expect, test } from 'vitest'
import { checkObserveOptions } from './check-options.ts'

test.each<[options: unknown, option: string, message: string]>([
  [null, 'options', 'observe() received null as its options. Write '],
  ['shop', 'options', 'observe() received a value of type string as its options. Write '],
  [{ name: 42 }, 'name', 'Option "name" is 42, but must be a text'],
  [{ name: '' }, 'name', 'but must be a text that is not empty'],
  [{ attributes: 'abc' }, 'attributes', 'Option "attributes" is a string of 3 characters, but must be an object'],
  [{ attributes: { tenant: {} } }, 'attributes', 'but must be an object whose values are'],
  [{ spanEvents: 'no' }, 'spanEvents', 'but must be a boolean'],
  [{ meterprovider: {} }, 'meterprovider', 'meterProvider'],
])('observe(pool, %j) is refused', (options, option, message) => {
  expect(() => checkObserveOptions(options)).toThrow(
    expect.objectContaining({ kind: 'option', option, message: expect.stringContaining(message) }),
  )
})

test.each([
  {},
  { name: undefined, attributes: undefined, meterProvider: undefined, spanEvents: undefined },
  { name: 'shop', attributes: { tenant: 'a', shard: 3, isEu: true, tags: ['a'] }, meterProvider: {}, spanEvents: false },
])('observe(pool, %j) is accepted', (options) => {
  expect(() => checkObserveOptions(options)).not.toThrow()
})
