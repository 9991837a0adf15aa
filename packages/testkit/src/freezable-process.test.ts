import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failureOf } from '../fixtures/plain-client.ts'
import { type FreezableProcess, spawnFreezable } from './freezable-process.ts'
import { freezePid } from './freezer.ts'
import { isAlive, isStopped } from './process-state.ts'

const CALLS = new URL('../fixtures/calls.ts', import.meta.url)
const FREEZE_MILLIS = 250

interface Clocks {
  readonly wall: number
  readonly mono: number
}

describe('calls', () => {
  let child: FreezableProcess
  beforeAll(async () => {
    child = await spawnFreezable(CALLS)
  })
  afterAll(() => child.kill())

  test('return what the child returns', async () => {
    expect(await child.call('add', { a: 1, b: 2 })).toBe(3)
    const rich = { date: new Date(0), map: new Map([['key', 1n]]), bytes: new Uint8Array([1, 2]), none: undefined }
    expect(await child.call('echo', rich)).toEqual(rich)
    expect(await Promise.all([1, 2, 3].map((n) => child.call('echo', n)))).toEqual([1, 2, 3])
  })

  test('fail as the child fails', async () => {
    const error = (await child.call('fail').catch((thrown) => thrown)) as Error & { code: string; socket: unknown }
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'RangeError', message: 'too far', code: 'E_FAR', cause: { message: 'the map ended' } })
    expect(error.stack).toContain('calls.ts')
    expect(error.socket).toBeUndefined()
    await expect(child.call('failByNothing')).rejects.toThrow('Thrown value: just text')
  })

  test('say what is wrong with themselves', async () => {
    await expect(child.call('nothing')).rejects.toThrow(/serves no 'nothing'. It serves: add, echo/)
    await expect(child.call('toString')).rejects.toThrow(/serves no 'toString'/)
    await expect(child.call('echo', () => {})).rejects.toThrow(/could not be cloned/)
    await expect(child.call('unsendable')).rejects.toThrow(/could not be cloned/)
    await expect(child.call('hang', undefined, { timeoutMillis: 20 })).rejects.toThrow(/has not answered 'hang' within 20 ms/)
  })

  test('leave what the child writes to be read', async () => {
    await child.call('say', 'hello')
    await expect.poll(() => [child.stdout, child.stderr]).toEqual(['out hello\n', 'err hello\n'])
  })
})

describe('a freeze', () => {
  test('stops the process for real, and a call made meanwhile is answered after the thaw', async () => {
    await using child = await spawnFreezable(CALLS)
    const before = await child.call<Clocks>('clocks')
    await child.freeze()
    expect([child.isFrozen, await isStopped(child.pid)]).toEqual([true, true])
    const answer = child.call<Clocks>('clocks')
    expect(await Promise.race([answer, sleep(FREEZE_MILLIS, 'nothing')])).toBe('nothing')
    await child.thaw()
    expect([child.isFrozen, await isStopped(child.pid)]).toEqual([false, false])
    const after = await answer
    // SIGSTOP stops neither clock.
    expect(after.wall - before.wall).toBeGreaterThanOrEqual(FREEZE_MILLIS - 2)
    expect(after.mono - before.mono).toBeGreaterThanOrEqual(FREEZE_MILLIS - 2)
  })

  test('can be borne by an injected clock that stands still', async () => {
    await using child = await spawnFreezable(CALLS)
    await child.call('stopMono')
    await child.call('setTimer', 100)
    const before = await child.call<Clocks>('injectedClocks')
    await child.freeze()
    await sleep(FREEZE_MILLIS)
    await child.thaw()
    expect(await child.call('timerFiredAt')).toBeUndefined()
    const after = await child.call<Clocks>('injectedClocks')
    expect(after.wall - before.wall).toBeGreaterThanOrEqual(FREEZE_MILLIS - 2)
    expect(after.mono).toBe(before.mono)
    await child.call('resume')
    await expect.poll(() => child.call<Clocks | undefined>('timerFiredAt')).toBeDefined()
    expect(((await child.call<Clocks>('timerFiredAt')).mono - before.mono) / 100).toBeGreaterThanOrEqual(0.99)
  })

  test('lets a call fail before anybody looks at it', async () => {
    await using child = await spawnFreezable(CALLS)
    await child.freeze()
    const failing = child.call('fail')
    await child.thaw()
    await child.call('echo')
    await expect(failing).rejects.toThrow('too far')
  })

  test('says so when a call runs out of time', async () => {
    await using child = await spawnFreezable(CALLS)
    await child.freeze()
    await expect(child.call('add', { a: 1, b: 2 }, { timeoutMillis: 20 })).rejects.toThrow(/It is frozen/)
  })

  test('ends with a kill, which a polite signal cannot bring about', async () => {
    const child = await spawnFreezable(CALLS)
    await child.freeze()
    const polite = child.kill('SIGTERM')
    expect(await Promise.race([polite, sleep(50, 'still frozen')])).toBe('still frozen')
    expect(await child.kill()).toEqual({ code: null, signal: 'SIGKILL' })
    await polite
    await expect(child.thaw()).rejects.toThrow(/has ended \(signal SIGKILL\): it cannot be thawed/)
  })
})

describe('an uncaught error', () => {
  test('is reported, and survived', async () => {
    await using child = await spawnFreezable(CALLS)
    await child.call('leak')
    await expect.poll(() => child.uncaught.length).toBe(2)
    expect(child.uncaught).toMatchObject([
      { origin: 'unhandledRejection', error: { message: 'rejected into the void', code: 'E_VOID' } },
      { origin: 'uncaughtException', error: { name: 'TypeError', message: 'thrown into the void' } },
    ])
    expect(await child.call('add', { a: 1, b: 2 })).toBe(3)
  })

  test('is reported, and fatal on demand', async () => {
    await using child = await spawnFreezable(CALLS, { args: ['--exit-on-uncaught'] })
    await child.call('leak').catch(() => {})
    expect(await child.exited).toEqual({ code: 1, signal: null })
    expect(child.uncaught[0]).toMatchObject({ origin: 'unhandledRejection' })
  })
})

describe('start and end', () => {
  test('options reach the child', async () => {
    await using child = await spawnFreezable(CALLS, { args: ['one'], env: { MARKER: 'set' }, cwd: '/', execArgv: ['--no-warnings'] })
    expect(await child.call('about')).toEqual({ args: ['one'], marker: 'set', cwd: '/', execArgv: ['--no-warnings'] })
  })

  test('a child that exits rejects its calls, and those that come later', async () => {
    const child = await spawnFreezable(CALLS)
    await child.call('say', 'last words')
    await expect(child.call('exit', 3)).rejects.toThrow(/ended \(code 3\) before it answered. It wrote to stderr:\nerr last words/)
    expect(await child.exited).toEqual({ code: 3, signal: null })
    await expect(child.call('add', {})).rejects.toThrow(/has ended \(code 3\): it cannot be called/)
    await expect(child.freeze()).rejects.toThrow(/it cannot be frozen/)
  })

  test('a file that is not there, and one that never serves', async () => {
    await expect(spawnFreezable('/nowhere/app.js')).rejects.toThrow(/ended \(code 1\) without calling serve\(\).*MODULE_NOT_FOUND/s)
    const idle = `data:text/javascript,setInterval(() => {}, 1000)`
    await expect(spawnFreezable(CALLS, { execArgv: ['--import', idle, '-e', ''], startTimeoutMillis: 300 })).rejects.toThrow(
      /has not called serve\(\) within 300 ms/,
    )
  })

  test('serve wants a parent', () => {
    expect(() => execFileSync(process.execPath, [fileURLToPath(CALLS)], { stdio: 'pipe' })).toThrow(/Run this file by spawnFreezable/)
  })

  test('a frozen child dies with a parent that was killed', async () => {
    // A parent that can be killed: a child of ours, with a child of its own.
    const file = new URL('../fixtures/parent.ts', import.meta.url)
    const parent = await spawnFreezable(file)
    const grandchild = await parent.call<number>('spawnFrozen', CALLS.href)
    expect(await isStopped(grandchild)).toBe(true)
    await parent.kill('SIGKILL')
    await expect.poll(() => isAlive(grandchild)).toBe(false)
  })
})

test('a process that is gone cannot be frozen', async () => {
  const child = await spawnFreezable(CALLS)
  await child.kill()
  expect(await failureOf(freezePid(child.pid))).toBe(`Process ${child.pid} cannot be sent SIGSTOP: it is gone, or it is not ours.`)
  expect(await isStopped(child.pid)).toBeUndefined()
})
