import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectPlain } from '../fixtures/plain-client.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'
import { sessionsOf, terminateSessions, waitForSessions } from './sessions.ts'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

const dial = (name: string) => connectPlain({ connectionString: server.url, application_name: name })

test('shows the sessions of one application as the server sees them', async () => {
  await using mine = await dial('mine')
  await using _other = await dial('other')
  const { rows } = await mine.client.query('SELECT pg_backend_pid() AS pid')
  await mine.client.query('BEGIN')
  const sessions = await sessionsOf(server, 'mine')
  expect(sessions).toMatchObject([{ pid: rows[0].pid, state: 'idle in transaction', query: 'BEGIN' }])
  expect(sessions[0]?.backendStart).toBeInstanceOf(Date)
})

test('ends the sessions of one application', async () => {
  await using first = await dial('doomed')
  await using second = await dial('doomed')
  await using other = await dial('spared')
  await waitForSessions(server, 'doomed', 2)
  expect(await terminateSessions(server, 'doomed')).toBe(2)
  await Promise.all([first.ended, second.ended])
  expect([...first.errors, ...second.errors].filter((error) => 'code' in error && error.code === '57P01')).toHaveLength(2)
  expect(await waitForSessions(server, 'doomed', 0)).toEqual([])
  expect((await other.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  expect(await terminateSessions(server, 'doomed')).toBe(0)
})

test('waits, and says what there is when it times out', async () => {
  await using _plain = await dial('waiting')
  await expect(waitForSessions(server, 'waiting', 3, 30)).rejects.toThrow(
    /'waiting' should have come to 3 sessions within 30 ms, but has 1: \d+ \(idle\)/,
  )
  await expect(waitForSessions(server, 'nobody', 1, 0)).rejects.toThrow(/has 0: none/)
})
