/** What docs/reference/troubleshooting.md quotes is what is said: by Thaw's sources, or by what it runs on. */

import { expect, test } from 'vitest'
import { find, read } from './repository.ts'

/** Said by Node, OpenSSL, node-postgres, PostgreSQL. */
const BY_OTHERS = [
  'getaddrinfo ENOTFOUND',
  'connect ECONNREFUSED',
  'read ECONNRESET',
  'self-signed certificate',
  'password authentication failed for user',
  'Connection terminated unexpectedly',
  'canceling statement due to',
  'cannot execute INSERT in a read-only transaction',
  'prepared statement',
  'does not exist',
  'Cannot use a pool after calling end on the pool',
]
/** Named, and no messages. */
const NAMES = ['kind', 'outcome-unknown', 'connection-lost', 'scope', 'pool.end()']

test('each message that it quotes is in the sources', async () => {
  const files = await find('packages/*/src/**/*.ts')
  const sources = (await Promise.all(files.filter((file) => !file.endsWith('.test.ts')).map(read))).join('\n')
  const rows = (await read('docs/reference/troubleshooting.md')).split('\n').filter((line) => /^\| (?!---|message)/.test(line))
  const quoted = rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text))
  expect(quoted.length).toBeGreaterThan(25)
  expect(quoted.filter((text) => ![...BY_OTHERS, ...NAMES].includes(text) && !sources.includes(text))).toEqual([])
})
