/** Nothing of a pool that was ended is an open handle, as Jest's `--detectOpenHandles` counts them: async resources whose end nothing tells, after a collection of garbage. */

import { createHook } from 'node:async_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test, vi } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test.each([
  ['none fails', 'select 1'],
  ['the last one fails', 'select nope'],
])('of statements at once, %s', async (_which, last) => {
  const open = new Set<number>()
  let made = 0
  const hook = createHook({
    init(id, type) {
      if (type !== 'THAW_WAITER') return
      made++
      open.add(id)
    },
    destroy: (id) => void open.delete(id),
  }).enable()
  const pool = new Pool({ connectionString: server.url })
  await Promise.all(Array.from({ length: 30 }, (_, n) => pool.query('select $1::int as n', [n])))
  await pool.query(last).catch(() => {})
  await pool.end()
  expect(made).toBeGreaterThan(0)
  await vi.waitFor(async () => {
    collectGarbage()
    await turn()
    expect(open.size).toBe(0)
  }, 5000)
  hook.disable()
})
