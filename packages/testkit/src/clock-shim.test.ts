import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { buildClockShim } from './clock-shim.ts'
import { spawnFreezable } from './freezable-process.ts'

const CALLS = new URL('../fixtures/calls.ts', import.meta.url)
const FREEZE_MILLIS = 400
const canBuild = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0

interface Clocks {
  readonly wall: number
  readonly mono: number
}

async function freezeWithShim(): Promise<void> {
  await using shim = await buildClockShim()
  await using child = await spawnFreezable(CALLS, { env: { ...shim.env } })
  const before = await child.call<Clocks>('clocks')
  // Twice as long as the freeze: if the timer followed the real clock, it would have half of its wait behind it.
  await child.call('setTimer', 2 * FREEZE_MILLIS)
  await child.freeze()
  await sleep(FREEZE_MILLIS)
  await shim.stopMonotonic(FREEZE_MILLIS / 2)
  await shim.stopMonotonic(FREEZE_MILLIS / 2)
  await child.thaw()
  const after = await child.call<Clocks>('clocks')
  expect(after.wall - before.wall).toBeGreaterThanOrEqual(FREEZE_MILLIS - 2)
  // The monotonic clock ran while we talked to the process, for as long as a busy machine wanted; what it lacks is the freeze.
  expect(after.wall - before.wall - (after.mono - before.mono)).toBeGreaterThanOrEqual(FREEZE_MILLIS - 4)
  await expect.poll(() => child.call<Clocks | undefined>('timerFiredAt')).toBeDefined()
  const { wall, mono } = await child.call<Clocks>('timerFiredAt')
  expect(mono - before.mono).toBeGreaterThanOrEqual(2 * FREEZE_MILLIS - 2)
  expect(wall - before.wall).toBeGreaterThanOrEqual(3 * FREEZE_MILLIS - 4)
}

test("Node's own clock and timers stand still; without a compiler the error says so", async () => {
  if (canBuild) await freezeWithShim()
  else await expect(buildClockShim()).rejects.toThrow(/C compiler|LD_PRELOAD/)
})

test('a temporary folder with a space in its name, at which LD_PRELOAD would be split, holds no library', async () => {
  if (!canBuild) return expect(buildClockShim()).rejects.toThrow(/C compiler|LD_PRELOAD/)
  const folder = mkdtempSync(join(tmpdir(), 'two words-'))
  onTestFinished(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })
  vi.stubEnv('TMPDIR', folder)
  await using shim = await buildClockShim()
  expect(shim.env['LD_PRELOAD']).toMatch(/^\/\S+clock-shim\.so/)
})

test('a compiler that is not there, or does nothing', async () => {
  if (process.platform !== 'linux') return expect(buildClockShim()).rejects.toThrow(/LD_PRELOAD/)
  // Of our own: others build shims at the same time.
  const folder = mkdtempSync(join(tmpdir(), 'thaw-shims-'))
  onTestFinished(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })
  vi.stubEnv('TMPDIR', folder)
  await expect(buildClockShim({ compiler: 'no-such-compiler' })).rejects.toThrow(/needs a C compiler, and 'no-such-compiler' did not do/)
  await expect(buildClockShim({ compiler: 'true' })).rejects.toThrow(/wrote no/)
  expect(readdirSync(folder)).toEqual([])
})
