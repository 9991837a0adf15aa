/** Where the pool's state lives, as ARCHITECTURE.md says: what a module keeps for the whole process is named there, in the row of its room. */

import { expect, test } from 'vitest'
import { find, read } from './repository.ts'

const SOURCES = 'packages/pool/src/'
/** At the top of a module. What never changes is written in capitals. */
const STATE = /^(?:export )?(?:let \w|const [a-z]\w*(?:: [^=]+)? = (?:new (?:Map|Set|WeakMap|WeakSet|Tracing)\b|create\w+\(|\[\]|\{\}))/m

/** The files of the pool that have such state, from `room/`. */
async function filesWithState(): Promise<string[]> {
  const files = (await find(`${SOURCES}**/*.ts`)).filter((file) => !file.endsWith('.test.ts'))
  const found: string[] = []
  for (const file of files) if (STATE.test(await read(file))) found.push(file.slice(SOURCES.length))
  return found
}

/** The cells of each row, by room. */
async function rows(): Promise<Map<string, string>> {
  const lines = (await read('ARCHITECTURE.md')).matchAll(/^\| `([\w.-]+)\/?` \|[^|]*\|(.*)\|$/gm)
  return new Map([...lines].map(([, room = '', state = '']) => [room, state]))
}

test('what a module of the pool keeps for the whole process is in the row of its room', async () => {
  const files = await filesWithState()
  expect(files).toContain('options/query-config.ts')
  const table = await rows()
  const missing = files.filter((file) => {
    const [room = '', name] = file.split('/')
    const state = /[Tt]he process's.*/.exec(table.get(room) ?? '')?.[0] ?? ''
    return name === undefined ? state === '' : !state.includes(`\`${name}\``)
  })
  expect(missing).toEqual([])
})

test('each file that the table names is in that room', async () => {
  const files = new Set(await find(`${SOURCES}**/*.ts`))
  const stray: string[] = []
  for (const [room, state] of await rows())
    for (const [, name] of state.matchAll(/`([\w-]+\.ts)`/g)) if (!files.has(`${SOURCES}${room}/${name}`)) stray.push(`${room}/${name}`)
  expect(stray).toEqual([])
})

test.for([
  'let last = 0',
  'const others = new Set<string>()',
  'const origins = new WeakMap<object, { readonly step: HostStep }>()',
  'export const illegalMoves: string[] = []',
  'export const acquires: Tracing<AcquireContext> = new Tracing(name)',
  'const classify = createStatementCache()',
])('%s would be found', (text) => {
  expect(`import {} from 'x'\n\n${text}\n`).toMatch(STATE)
})

test.for(["const NAMES: ReadonlySet<string> = new Set(['x'])", '  let last = 0', 'const make = (config: object) => new Map()'])(
  '%s is no state',
  (text) => {
    expect(text).not.toMatch(STATE)
  },
)
