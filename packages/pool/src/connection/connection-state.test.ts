import { afterEach, expect, test } from 'vitest'
import type { PeerClient } from '../driver/peer.ts'
import { type ConnectionState, enter, illegalMoves } from './connection-state.ts'

/** A client of which nothing is used but its socket's end. */
function createClient() {
  let isDestroyed = false
  const stream = {
    write() {},
    on() {},
    destroy() {
      isDestroyed = true
    },
  }
  return { client: { connection: { stream } } as unknown as PeerClient, isDestroyed: () => isDestroyed }
}

afterEach(() => {
  illegalMoves.length = 0
})

test.each<readonly ConnectionState[]>([
  ['connecting', 'in use', 'idle', 'probing', 'idle', 'in use', 'draining', 'idle', 'closed'],
  ['idle', 'draining', 'idle'],
  ['probing', 'draining', 'closed', 'closed'],
  ['probing', 'in use', 'closed'],
])('a connection may be %s, %s, %s', (...states) => {
  const { client, isDestroyed } = createClient()
  const vitals = { state: states[0] as ConnectionState }
  for (const next of states.slice(1)) expect(enter(client, vitals, next)).toBe(true)
  expect([vitals.state, isDestroyed(), illegalMoves]).toEqual([states.at(-1), false, []])
})

test.each<[ConnectionState, ConnectionState]>([
  ['connecting', 'idle'],
  ['in use', 'probing'],
  ['in use', 'in use'],
  ['draining', 'in use'],
  ['closed', 'idle'],
])('a move from %s to %s ends the connection, and is noted', (state, next) => {
  const { client, isDestroyed } = createClient()
  const vitals = { state }
  expect(enter(client, vitals, next)).toBe(false)
  expect([vitals.state, isDestroyed(), illegalMoves]).toEqual(['closed', true, [`${state} → ${next}`]])
})
