/**
 * What each library's reads get, as docs/reference/libraries.md says it. By `pool.query()` they share a connection, and one whose answer is lost is sent again. By `connect()`
 * the connection is checked before it is handed out, and a lost read fails with an error that says so; with plain `pg` it fails either way.
 */

import { causesOf } from '@thaw/core'
import type { Pool } from '@thaw/pg'
import { expect, test, vi } from 'vitest'
import { proxy } from '../faults/fresh-proxy.ts'
import { read as readFile } from '../house/repository.ts'
import { LIBRARIES } from './libraries.ts'
import { useLibraries } from './library-setting.ts'

const setting = useLibraries()

const BY_QUERY = '`query()`'
const BY_CONNECT = '`connect()`'

/** The last column of the library's row, `[Kysely](#kysely) 0.29` and the like. */
async function toldOf(library: string): Promise<string | undefined> {
  const [name = ''] = library.split(' ')
  const rows = (await readFile('docs/reference/libraries.md')).split('\n').filter((line) => line.replace('[', '').startsWith(`| ${name}`))
  return rows[0]?.split(' | ').at(-1)?.replace(' |', '')
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

test.for(LIBRARIES)('$name', async ({ name, open, reads = 'notes' }) => {
  const { write, read, close } = await open(setting.behind('Thaw', { max: 1, hedge: false, trustMillis: 60_000 }))
  await write('before')
  if (!read) {
    const [pool] = setting.pools
    const query = vi.spyOn(pool as unknown as Pool, 'query')
    const connect = vi.spyOn(pool as unknown as Pool, 'connect')
    await write('after')
    expect([query.mock.calls.length, await toldOf(name)]).toEqual([0, BY_CONNECT])
    expect(connect).toHaveBeenCalled()
    await close?.()
    return
  }
  const three = () => Promise.all([read(), read(), read()])
  // How long its text takes is known, and who is at the other end.
  for (const _ of [1, 2, 3]) await three()
  const before = proxy.counters.roundTrips
  await three()
  const roundTrips = proxy.counters.roundTrips - before
  const ambush = proxy.loseNextAnswer({ containing: reads, cut: 'fin' })
  const failure = await failureOf(read())
  await ambush.struck
  const kinds = failure && causesOf(failure).flatMap((cause) => (cause as { kind?: string }).kind ?? [])
  const seen = { roundTrips, kinds, told: await toldOf(name) }
  if (seen.told === BY_QUERY) expect(seen).toEqual({ roundTrips: 1, kinds: undefined, told: BY_QUERY })
  else expect(seen).toEqual({ roundTrips: 3, kinds: ['connection-lost'], told: BY_CONNECT })
  await close?.()
})
