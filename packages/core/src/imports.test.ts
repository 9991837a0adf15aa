/** Core imports nothing, and touches time and chance in one file. Looked at from outside: these tests use Node, core must not. */

import { readdirSync, readFileSync } from 'node:fs'
import { URL } from 'node:url'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'

const here = (path: string) => new URL(path, import.meta.url)
const text = (path: string) => readFileSync(here(path), 'utf8')
/** What is left when comments are taken out. No string of core contains a comment's opening but those of URLs. */
const code = (path: string) =>
  text(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '')

const files = readdirSync(here('.')).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
const modules = files.map((name) => [name, code(name)] as const)

/** They look for the runtime's own time, where something is in front of it. */
const BEHIND = ['unmasked.ts', 'behind-fakes.ts']

/** What a module names in `import`, `export … from`, `import()` and `require()`. */
function imported(source: string): string[] {
  return [...source.matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*(['"`])(.*?)\1/g)].map((match) => match[2] ?? '')
}

test('there is something to look at', () => {
  expect(files).toContain('index.ts')
  expect(files.length).toBeGreaterThan(10)
  // All but itself, and answer.ts and unmasked.ts, of use to request.ts and clock.ts.
  expect(imported(code('index.ts')).length).toBe(files.length - 3)
})

test.each<[source: string, names: string[]]>([
  ["import { x } from 'a'", ['a']],
  ["import type { x } from 'b'", ['b']],
  ["import 'c'", ['c']],
  ["export * from 'd'", ['d']],
  ["await import('e')", ['e']],
  ["require('f')", ['f']],
  ["const from = 'g'", []],
])('the search finds what %s names', (source, names) => {
  expect(imported(source)).toEqual(names)
})

test.each(modules)('%s imports its neighbours and nothing else', (name, source) => {
  for (const imports of imported(source)) expect(files.map((file) => `./${file}`)).toContain(imports)
  expect(source).not.toMatch(/\brequire\b|\bcreateRequire\b|\bimport\.meta\b|\bimport\s*\(/)
  if (!BEHIND.includes(name)) expect(source).not.toContain('getBuiltinModule')
})

test.each(modules.filter(([name]) => !['clock.ts', ...BEHIND].includes(name)))('%s touches neither time nor chance', (_, source) => {
  expect(source).not.toMatch(
    /\bDate\b|\bperformance\b|\bMath\.random\b|\bcrypto\b|\bset(Timeout|Interval|Immediate)\b|\bclear(Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bhrtime\b|\bnextTick\b/,
  )
})

/** Those that ask the runtime: what time it is, and what it is behind a mask, which platform it is on, which invocation is running, what a socket lives in. */
const ASKS_RUNTIME = ['clock.ts', ...BEHIND, 'platform.ts', 'invocation.ts', 'scope.ts']

test.each(modules.filter(([name]) => !ASKS_RUNTIME.includes(name)))('%s reads no global that belongs to a runtime', (_, source) => {
  expect(source).not.toMatch(/\bglobalThis\b|\bprocess\b|\bBuffer\b|\bconsole\b|\bglobal\b|\bself\b|\bwindow\b/)
})

test('no module imports itself, by whatever way round', () => {
  const graph = new Map(modules.map(([name, source]) => [name, imported(source).map((path) => path.slice(2))]))
  const visit = (name: string, path: readonly string[]): void => {
    expect(path).not.toContain(name)
    for (const next of graph.get(name) ?? []) visit(next, [...path, name])
  }
  for (const name of graph.keys()) visit(name, [])
})

test.each(['../dist/index.mjs', '../dist/index.cjs'])('%s as built imports nothing', (path) => {
  expect(imported(code(path))).toEqual([])
  // What a runtime may have, and is asked for when it runs, no bundler sees.
  const seen = code(path).replace(/getBuiltinModule\?\.\("node:(vm|net)"\)/g, '')
  expect(/\brequire\s*\(|['"]node:/.test(seen)).toBe(false)
})

/** Runs the built core where nothing exists but the language itself and `globals`. */
function run(body: string, globals: Readonly<Record<string, unknown>>): unknown {
  const script = `'use strict'; (() => { const exports = {}; const module = { exports }; ${text('../dist/index.cjs')}\n; const core = module.exports; ${body} })()`
  const report = runInNewContext(script, { ...globals })
  return JSON.parse(String(report)) as unknown
}

/** A driver in the small: reads the clocks, judges, polls the sockets, waits, counts, reports. */
const TRIP = `
  const log = []
  const reading = core.read(core.systemClock)
  log.push(core.elapsedMillis(reading, { wall: reading.wall + 7, mono: reading.mono + 700 }))
  log.push(core.weighFreeze(reading, { wall: reading.wall + 3600000, mono: reading.mono + 5 }))
  const connection = {
    broken: false, generation: 1, provenAt: reading.mono, silenceMillis: 3, idleMillis: 3, ageMillis: 3, maxAgeMillis: Infinity,
  }
  const rules = { generation: 1, suspectSince: -Infinity, trustMillis: 500, idleTimeoutMillis: 10000 }
  log.push(core.judge(connection, rules), core.judge(connection, { ...rules, suspectSince: reading.mono }), core.judge(connection, { ...rules, generation: 2 }))
  log.push('turn' in core.systemClock)
  core.pollSockets(core.systemClock, () => log.push('polled'))
  core.startDeadline(core.systemClock, 50, () => log.push('expired'), true)
  core.startDeadline(core.systemClock, 60, () => log.push('never')).cancel()
  try { core.checkOptions({ trustMilis: 1 }, { trustMillis: { type: 'number', min: 0 } }, 'pass') } catch (error) { log.push(error.allowed, core.ThawError.is(error)) }
  log.push(core.classify({ code: '57P02' }).siblings)
  log.push(core.platformDefaults().platform, core.backoffMillis(0, 1000, 0.5), core.spend(core.earn(core.BUDGET_TOKENS)))
  const events = core.createEvents()
  events.subscribe((event) => log.push(event.type))
  events.emit({ type: 'drained', destroyed: 0 })
  finish(() => log)
  return JSON.stringify(log)
`

const REPORT = [700, 'certain', 'trust', 'probe', 'generation', false, 'polled', 'trustMillis', true, 'evict', 'node', 5, 9, 'drained']

test('the built core runs where there are timers and clocks, and nothing else: no process, require, Buffer or setImmediate', () => {
  const timers = new Map<number, () => void>()
  let later: () => unknown[] = () => []
  const report = run(
    `if (typeof process + typeof require + typeof Buffer + typeof setImmediate + typeof queueMicrotask !== 'undefined'.repeat(5)) throw new Error('not bare');${TRIP}`,
    {
      setTimeout: (callback: () => void) => timers.set(timers.size + 1, callback).size,
      clearTimeout: (timer: number) => timers.delete(timer),
      performance: { now: () => 5 },
      finish: (log: () => unknown[]) => {
        later = log
      },
    },
  )
  expect(report).toEqual(REPORT)
  for (const callback of timers.values()) callback()
  expect([...later()]).toEqual([...REPORT, 'expired'])
})

test('merely loading the built core needs no global at all', () => {
  const names = run('return JSON.stringify(Object.keys(core))', {}) as string[]
  expect(names).toContain('judge')
  expect(names).toContain('systemClock')
})

test('where there are turns of the loop the built core polls with them', () => {
  const queue: (() => void)[] = []
  const polled: unknown[] = []
  run(`core.pollSockets(core.systemClock, () => polled.push(true)); return '0'`, {
    polled,
    setImmediate: (callback: () => void) => void queue.push(callback),
  })
  let turns = 0
  for (let next = queue.shift(); next && polled.length === 0; next = queue.shift()) {
    turns++
    next()
  }
  expect({ turns, polled: polled.length }).toEqual({ turns: 3, polled: 1 })
})
