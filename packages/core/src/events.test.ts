import { expect, test, vi } from 'vitest'
import { systemClock } from './clock.ts'
import { createEvents, type ThawEvent } from './events.ts'
import { pollSockets } from './poll-sockets.ts'

const drained: ThawEvent = { type: 'drained', destroyed: 0 }
const thawed: ThawEvent = { type: 'thawed', gapMillis: 60_000 }

test('every listener is told, in the order of their coming', () => {
  const events = createEvents()
  const told: string[] = []
  events.subscribe(({ type }) => told.push(`first ${type}`))
  events.subscribe(({ type }) => told.push(`second ${type}`))
  events.emit(thawed)
  events.emit(drained)
  expect(told).toEqual(['first thawed', 'second thawed', 'first drained', 'second drained'])
})

test('an event is handed on as it is', () => {
  const events = createEvents()
  const listener = vi.fn()
  events.subscribe(listener)
  events.emit(thawed)
  expect(listener.mock.calls[0]?.[0]).toBe(thawed)
})

test('there is no listener before the first subscribes, nor after the last has left', () => {
  const events = createEvents()
  expect(events.active).toBe(false)
  const leave = events.subscribe(() => {})
  const alsoLeave = events.subscribe(() => {})
  leave()
  expect(events.active).toBe(true)
  alsoLeave()
  expect(events.active).toBe(false)
  events.emit(drained)
})

test('a listener that has left is not called any more, and may leave twice', () => {
  const events = createEvents()
  const listener = vi.fn()
  const leave = events.subscribe(listener)
  leave()
  leave()
  events.emit(drained)
  expect(listener).not.toHaveBeenCalled()
})

test('a function that subscribed twice and left once is told once', () => {
  const events = createEvents()
  const listener = vi.fn()
  const leave = events.subscribe(listener)
  events.subscribe(listener)
  leave()
  leave()
  events.emit(drained)
  expect(listener).toHaveBeenCalledOnce()
})

test('what a listener throws is dropped', () => {
  const events = createEvents()
  const listener = vi.fn()
  events.subscribe(() => {
    throw new Error('mine')
  })
  events.subscribe(listener)
  expect(() => events.emit(drained)).not.toThrow()
  expect(listener).toHaveBeenCalledOnce()
})

test('an asynchronous listener that fails does not end the process', async () => {
  const events = createEvents()
  // vitest fails the run on an unhandled rejection, as Node would end the process.
  events.subscribe(async () => {
    throw new Error('mine')
  })
  events.emit(drained)
  await new Promise<void>((resolve) => pollSockets(systemClock, resolve))
})

test('a listener added during an event receives the next event, not this one', () => {
  const events = createEvents()
  let told = 0
  // Leaves and comes back: in a list that is walked while it grows this would never end.
  const again = () => {
    if (++told > 10) throw new Error('does not end')
    leave()
    leave = events.subscribe(again)
  }
  let leave = events.subscribe(again)
  events.emit(drained)
  expect(told).toBe(1)
  events.emit(drained)
  expect(told).toBe(2)
})

test('two lists know nothing of each other', () => {
  const one = createEvents()
  const other = createEvents()
  const listener = vi.fn()
  one.subscribe(listener)
  other.emit(drained)
  expect(listener).not.toHaveBeenCalled()
  expect(other.active).toBe(false)
})

test('a broadcast is listened to as anybody is, asked each time, and told of what it hears', () => {
  const heard = new Set<ThawEvent['type']>()
  const told: ThawEvent[] = []
  const events = createEvents({ hears: (type) => heard.has(type), tell: (event) => void told.push(event) })
  expect([events.active, events.hears('thawed')]).toEqual([false, false])
  events.emit(thawed)
  heard.add('thawed')
  expect([events.active, events.hears('thawed'), events.hears('drained')]).toEqual([true, true, false])
  events.emit(thawed)
  events.emit(drained)
  heard.delete('thawed')
  events.emit(thawed)
  expect(told).toEqual([thawed])
  expect(events.counts).toMatchObject({ thawed: 3, drained: 1 })
})
