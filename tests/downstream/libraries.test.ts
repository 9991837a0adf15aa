/**
 * Every library that takes a pool, on a connection that dies between two uses of it.
 *
 * What plain `pg` has not heard of, because a NAT or a host has forgotten the connection, fails its next use in each of them. What it hears of ends
 * the process, unless the library listens. On Thaw neither is noticed, and nothing is written twice.
 */

import { terminateSessions } from '@thaw/testkit'
import { describe, expect, test } from 'vitest'
import { proxy, server } from '../faults/fresh-proxy.ts'
import { discard } from '../faults/side-by-side.ts'
import { LIBRARIES, SEQUELIZE } from './libraries.ts'
import { APP, useLibraries } from './library-setting.ts'

const setting = useLibraries()
const { behind, written, allClosed } = setting

const STRIKES: readonly { readonly name: string; readonly strike: () => Promise<void> }[] = [
  {
    name: 'a FIN',
    async strike() {
      expect(proxy.cut('fin')).toBeGreaterThan(0)
      await allClosed()
    },
  },
  {
    name: 'an RST',
    async strike() {
      expect(proxy.cut('rst')).toBeGreaterThan(0)
      await allClosed()
    },
  },
  {
    name: 'pg_terminate_backend',
    async strike() {
      expect(await terminateSessions(server, APP)).toBeGreaterThan(0)
      await allClosed()
    },
  },
  {
    name: 'a restart of the server',
    async strike() {
      await server.restart()
      await allClosed()
    },
  },
  {
    name: 'a NAT that forgets it',
    async strike() {
      expect(proxy.cut('rst-on-next-byte')).toBeGreaterThan(0)
    },
  },
  {
    name: 'a firewall that drops what comes',
    async strike() {
      expect(proxy.cut('drop')).toBeGreaterThan(0)
    },
  },
]

describe.for(LIBRARIES)('$name', (library) => {
  test('on node-postgres fails where a NAT has forgotten its idle connection', async () => {
    const { write, close } = await library.open(behind('pg'))
    await write('before')
    expect(setting.pools.map((pool) => pool.listenerCount('error') > 0)).toEqual([library.listens])
    for (const pool of setting.pools) pool.on('error', () => {})
    proxy.cut('rst-on-next-byte')
    await expect(write('lost')).rejects.toThrow()
    expect(await written(library)).toBe(1)
    const held = setting.pools.some((pool) => pool.totalCount > pool.idleCount)
    expect(held).toBe(library.keepsPlace ?? false)
    await Promise.all(setting.pools.map(discard))
    // Some end the pool once more. What counts is that their timers stop: a heartbeat on a pool that is gone would be an error of the next test.
    await close?.().catch(() => {})
  })

  test('on Thaw notices none of its idle connections die', async () => {
    const { write, close } = await library.open(behind('Thaw'))
    await write('before')
    for (const { name, strike } of STRIKES) {
      await strike()
      await expect(write(name.replaceAll(' ', '-')), name).resolves.not.toThrow()
    }
    expect(await written(library)).toBe(1 + STRIKES.length)
    expect(setting.uncaught).toEqual([])
    await close?.()
  })
})

describe('Sequelize, whose own pool hands out whatever it has', () => {
  test.for([
    ['pg', 'ECONNRESET'],
    ['Thaw', '08007'],
  ] as const)('fails once on %s, with %s, and goes on', async ([name, code]) => {
    const { write, close } = await SEQUELIZE.open(behind(name))
    await write('before')
    proxy.cut('rst-on-next-byte')
    await expect(write('lost')).rejects.toMatchObject({ parent: { code } })
    await write('after')
    expect(await written(SEQUELIZE)).toBe(2)
    expect(setting.uncaught).toEqual([])
    await close?.()
  })
})
