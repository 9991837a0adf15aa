import { expect, test } from 'vitest'
import { leadsToHyperdrive } from '../options/hyperdrive.ts'
import { settingsOf } from '../options/options.ts'
import { optionsFrom } from './source.ts'

const URL_OF_A_BINDING = 'postgresql://user:secret@0123abcd.hyperdrive.local:5432/db?sslmode=disable'

test('a binding of Hyperdrive: its connection string, on which reads carry no probe', () => {
  const binding = { connectionString: 'postgresql://user@localhost/db', connect: () => {} }
  for (const source of [binding, () => binding]) {
    expect(settingsOf(optionsFrom(source, {})).piggybackProbe).toBe(false)
    expect(optionsFrom(source, {}).connectionString).toBe(binding.connectionString)
  }
})

test('a URL or options: reads carry a probe, unless they lead to Hyperdrive', () => {
  const piggybacks = (source: Parameters<typeof optionsFrom>[0]) => settingsOf(optionsFrom(source, {})).piggybackProbe
  expect(piggybacks('postgresql://user@localhost/db')).toBe(true)
  expect(piggybacks(URL_OF_A_BINDING)).toBe(false)
  expect(piggybacks(() => ({ connectionString: URL_OF_A_BINDING }))).toBe(false)
  expect(piggybacks({ connectionString: URL_OF_A_BINDING, piggybackProbe: true })).toBe(true)
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
