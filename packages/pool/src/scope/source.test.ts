import { expect, test } from 'vitest'
import { leadsToHyperdrive } from '../options/hyperdrive.ts'
import { settingsOf } from '../options/options.ts'
import { optionsFrom } from './source.ts'

const URL_OF_A_BINDING = 'postgresql://user:secret@0123abcd.hyperdrive.local:5432/db?sslmode=disable'

test('a binding of Hyperdrive: its connection string, on which reads do not ride', () => {
  const binding = { connectionString: 'postgresql://user@localhost/db', connect: () => {} }
  for (const source of [binding, () => binding]) {
    expect(settingsOf(optionsFrom(source, {})).ride).toBe(false)
    expect(optionsFrom(source, {}).connectionString).toBe(binding.connectionString)
  }
})

test('a URL or options: they ride, unless they lead to Hyperdrive', () => {
  const rides = (source: Parameters<typeof optionsFrom>[0]) => settingsOf(optionsFrom(source, {})).ride
  expect(rides('postgresql://user@localhost/db')).toBe(true)
  expect(rides(URL_OF_A_BINDING)).toBe(false)
  expect(rides(() => ({ connectionString: URL_OF_A_BINDING }))).toBe(false)
  expect(rides({ connectionString: URL_OF_A_BINDING, ride: true })).toBe(true)
})

test.each([
  [{ connectionString: URL_OF_A_BINDING }, true],
  [{ host: 'ab.hyperdrive.local' }, true],
  [{ connectionString: 'postgresql://u@ab.hyperdrive.local/db' }, true],
  [{ host: 'ab.hyperdrive.local.example.com' }, false],
  [{ connectionString: 'postgresql://u@hyperdrive.example.com/db' }, false],
  [{}, false],
])('%o leads to Hyperdrive: %s', (config, is) => {
  expect(leadsToHyperdrive(config)).toBe(is)
})
