/**
 * The faults of the matrix that are left, beneath every library that takes a pool; tests/downstream has those that cost little.
 *
 * With plain `pg` the next write fails, or the process ends. On Thaw it waits until the database is back, and what was lost under way is told, and never written twice.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { LIBRARIES } from '../downstream/libraries.ts'
import { useLibraries } from '../downstream/library-setting.ts'
import { proxy, server } from '../faults/fresh-proxy.ts'
import { discard } from '../faults/side-by-side.ts'

const setting = useLibraries()
const { behind, written, allClosed } = setting

/** Longer than any probe, shorter than the two seconds for which Prisma waits for a transaction. */
const AWAY_MILLIS = 1_000

interface Strike {
  readonly name: string
  /** Returns what goes on while the next write is awaited. */
  readonly strike: () => Promise<() => Promise<void>>
}

const nothing = async () => {}

/** The connections are reset, and the next two attempts break off in the login. */
async function breakLogins() {
  expect(proxy.cut('rst')).toBeGreaterThan(0)
  await allClosed()
  for (const _ of [1, 2]) proxy.loseNextAnswer({ cut: 'fin', afterBytes: 10 })
  return nothing
}

const STRIKES: readonly Strike[] = [
  {
    name: 'FIN at the next byte',
    async strike() {
      expect(proxy.cut('fin-on-next-byte')).toBeGreaterThan(0)
      return nothing
    },
  },
  {
    name: 'a crash of the server',
    async strike() {
      await server.restart('immediate')
      await allClosed()
      return nothing
    },
  },
  { name: 'logins that break off', strike: breakLogins },
  {
    name: 'a database that is away',
    async strike() {
      expect(proxy.away()).toBeGreaterThan(0)
      // The time is the fault.
      return () => sleep(AWAY_MILLIS).then(() => proxy.accept())
    },
  },
  {
    name: 'a server that comes up while the write waits',
    async strike() {
      await server.stop()
      await allClosed()
      return () => server.start()
    },
  },
  {
    name: 'a firewall that accepts and says nothing',
    async strike() {
      expect(proxy.cut('drop')).toBeGreaterThan(0)
      await proxy.deafen()
      return () => sleep(AWAY_MILLIS).then(() => proxy.accept())
    },
  },
]

describe.for(LIBRARIES)('$name', (library) => {
  test.for(STRIKES)('$name: the next write succeeds, once', async ({ strike }) => {
    const { write, close } = await library.open(behind('Thaw'))
    await write('before')
    const meanwhile = await strike()
    await Promise.all([write('after'), meanwhile()])
    expect(await written(library)).toBe(2)
    expect(setting.uncaught).toEqual([])
    await close?.()
  })

  test.for(['INSERT', 'COMMIT'])(
    'the answer to %s is lost: what is told as failed is not stored twice, and the next write succeeds',
    async (lost) => {
      const { write, close } = await library.open(behind('Thaw'))
      await write('before')
      const ambush = proxy.loseNextAnswer({ containing: lost })
      const ends = await write('lost').then(
        () => 'stored',
        () => 'failed',
      )
      const before = await written(library)
      expect(before).toBeLessThanOrEqual(2)
      if (ends === 'stored') expect(before).toBe(2)
      await write('after')
      // It first runs what it has not finished.
      expect(await written(library)).toBe(library.name === 'node-pg-migrate' ? 3 : Number(before) + 1)
      expect(setting.uncaught).toEqual([])
      expect(setting.pools.every((pool) => pool.totalCount === pool.idleCount)).toBe(true)
      void ambush.struck
      await close?.()
    },
  )

  test('on node-postgres fails while the database is away', async () => {
    const { write, close } = await library.open(behind('pg'))
    for (const pool of setting.pools) pool.on('error', () => {})
    await write('before')
    proxy.away()
    await allClosed()
    await expect(write('lost')).rejects.toThrow()
    await proxy.accept()
    await Promise.all(setting.pools.map(discard))
    await close?.().catch(() => {})
  })
})
