import { describe, expect, test } from 'vitest'
import { createFakeClock, type FakeClock, type StoppedClocks } from './fake-clock.ts'

/** A clock with timers at 100, 200 and 1000 ms, and when each of them fired. */
function clockWithTimers(): { clock: FakeClock; fired: [number, number][]; start: { wall: number; mono: number } } {
  const clock = createFakeClock()
  const start = { wall: clock.wall(), mono: clock.mono() }
  const fired: [number, number][] = []
  for (const millis of [200, 100, 1_000]) clock.setTimer(() => fired.push([millis, clock.mono() - start.mono]), millis)
  return { clock, fired, start }
}

describe('advance', () => {
  test('fires what falls due, in order, each at its time', () => {
    const { clock, fired, start } = clockWithTimers()
    clock.advance(99)
    expect(fired).toEqual([])
    clock.advance(500)
    expect(fired).toEqual([
      [100, 100],
      [200, 200],
    ])
    expect([clock.wall() - start.wall, clock.mono() - start.mono, clock.pendingTimers]).toEqual([599, 599, 1])
  })

  test('says how long it is until the next timer', () => {
    const { clock } = clockWithTimers()
    expect(clock.nextTimerMillis).toBe(100)
    clock.advance(150)
    expect(clock.nextTimerMillis).toBe(50)
    clock.advance(1000)
    expect(clock.nextTimerMillis).toBe(Number.POSITIVE_INFINITY)
  })

  test('fires timers of the same time in the order in which they were set, unless they were cleared', () => {
    const clock = createFakeClock()
    const fired: string[] = []
    clock.setTimer(() => fired.push('first'), 10)
    const cleared = clock.setTimer(() => fired.push('cleared'), 10)
    clock.setTimer(() => fired.push('second'), 10)
    clock.clearTimer(cleared)
    clock.clearTimer(undefined)
    clock.advance(10)
    expect(fired).toEqual(['first', 'second'])
  })

  test('fires timers that timers set, and gets past one that sets itself', () => {
    const clock = createFakeClock()
    let ticks = 0
    const tick = (): void => {
      ticks++
      clock.setTimer(tick, 0)
    }
    tick()
    clock.advance(10)
    expect(ticks).toBe(11)
  })

  test('lets promises settle between timers when it is asynchronous', async () => {
    const clock = createFakeClock()
    const at: number[] = []
    const sleep = (millis: number) => new Promise<void>((resolve) => clock.setTimer(resolve, millis))
    const start = clock.mono()
    const steps = (async () => {
      for (let step = 0; step < 3; step++) {
        await sleep(100)
        at.push(clock.mono() - start)
      }
    })()
    await clock.advanceAsync(300)
    await steps
    expect(at).toEqual([100, 200, 300])
  })
})

describe('freeze', () => {
  test.each<[StoppedClocks, { wall: number; mono: number; fired: [number, number][] }]>([
    // biome-ignore format: a table
    ['none', { wall: 500, mono: 500, fired: [[100, 500], [200, 500]] }],
    ['mono', { wall: 500, mono: 0, fired: [] }],
    // biome-ignore format: a table
    ['wall', { wall: 0, mono: 500, fired: [[100, 500], [200, 500]] }],
    ['both', { wall: 0, mono: 0, fired: [] }],
  ])('that stops %s: overdue timers fire late, once, at the thaw', (stops, expected) => {
    const { clock, fired, start } = clockWithTimers()
    clock.freeze(500, { stops })
    expect({ wall: clock.wall() - start.wall, mono: clock.mono() - start.mono, fired }).toEqual(expected)
    clock.advance(1_000)
    expect(fired.map(([millis]) => millis)).toEqual([100, 200, 1_000])
  })

  test('a timer that is set at the thaw has its whole wait ahead', () => {
    const clock = createFakeClock()
    let ticks = 0
    const tick = (): void => {
      ticks++
      clock.setTimer(tick, 100)
    }
    clock.setTimer(tick, 100)
    clock.freeze(1_000)
    expect(ticks).toBe(1)
    clock.advance(100)
    expect(ticks).toBe(2)
  })

  test('can leave overdue timers for later, as for code that runs on in the same turn', () => {
    const { clock, fired } = clockWithTimers()
    clock.freeze(500, { fires: false })
    expect(fired).toEqual([])
    clock.advance(0)
    expect(fired.map(([millis]) => millis)).toEqual([100, 200])
  })
})

test('the wall clock can be set, both ways, without the other', () => {
  const clock = createFakeClock({ startMillis: 5_000 })
  clock.stepWall(1_000)
  clock.stepWall(-3_000)
  expect([clock.wall(), clock.mono()]).toEqual([3_000, 1_000])
})

test('chance depends on the seed alone', () => {
  const draw = (seed?: number): number[] => {
    const clock = createFakeClock(seed === undefined ? {} : { seed })
    return Array.from({ length: 1_000 }, () => clock.random())
  }
  expect(draw(7)).toEqual(draw(7))
  expect(draw()).toEqual(draw(1))
  expect(draw(7)).not.toEqual(draw(8))
  const drawn = draw(7)
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...drawn)).toBeLessThan(1)
  expect(drawn.reduce((sum, number) => sum + number) / drawn.length).toBeCloseTo(0.5, 1)
})

describe('turns', () => {
  test('are those of the event loop, unless told otherwise', async () => {
    let turned = false
    const done = new Promise<void>((resolve) =>
      createFakeClock().turn?.(() => {
        turned = true
        resolve()
      }),
    )
    expect(turned).toBe(false)
    await done
  })

  test('by hand, one at a time', () => {
    const clock = createFakeClock({ turns: 'manual' })
    const ran: number[] = []
    clock.turn?.(() => {
      ran.push(1)
      clock.turn?.(() => ran.push(2))
    })
    clock.runTurn()
    expect(ran).toEqual([1])
    clock.runTurn()
    expect(ran).toEqual([1, 2])
  })

  test('absent', () => {
    expect(createFakeClock({ turns: 'absent' }).turn).toBeUndefined()
  })
})
