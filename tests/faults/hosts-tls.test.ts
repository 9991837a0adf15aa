/**
 * Several hosts with a certificate each: the name that TLS verifies is that of the host at hand, also on the connections beside the pool's own.
 *
 * What breaks: a NAT forgets the flow under a statement. The pool asks the server about it on another connection; asked by the name of the first host of the
 * list, which is not in the certificate of the second, it would learn nothing, and the caller would hang.
 */

import { failDns } from '@thaw/testkit'
import { expect, test } from 'vitest'
import { useSetting } from './setting.ts'

const setting = useSetting({ tls: true })
const OTHER = 'another-host.example'

test('a statement that is lost at the second host is detected by its name', async () => {
  using _ = failDns({ host: OTHER, times: Number.POSITIVE_INFINITY, code: 'ENOTFOUND' })
  const { user, password, database, ca } = setting.server
  const asked: (string | undefined)[] = []
  const { port } = setting.proxy
  const pool = setting.thaw({
    connectionString: undefined,
    ...{ host: `${OTHER},localhost`, port, user, database },
    password: (parameters?: { host?: string }) => {
      asked.push(parameters?.host)
      return password
    },
    ssl: { ca: String(ca) },
  })
  await pool.query('SELECT 1')
  const lost = setting.proxy.loseNextAnswer({ cut: 'drop' })
  expect((await pool.query("SELECT 'found' AS it")).rows).toEqual([{ it: 'found' }])
  await lost.struck
  expect(setting.outcomes()).toEqual([expect.objectContaining({ action: 'retried', code: 'ETIMEDOUT' })])
  expect(new Set(asked)).toEqual(new Set(['localhost']))
})
