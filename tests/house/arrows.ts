/**
 * Who may import whom.
 *
 * apps, bench, tests → drivers, platforms → core. testkit → core. Drivers and platforms never import each other: they meet in core.
 * What drivers share is in `packages/pool`, and in their bundles.
 */

import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { parseSync } from 'oxc-parser'

/** One import. */
interface Arrow {
  /** The file, by its path in the repository. */
  readonly from: string
  /** A file by its path, a package of ours by its folder, anything else by its name. */
  readonly to: string
}

interface Rule {
  readonly name: string
  breaks(arrow: Arrow): boolean
}

/** `packages/pg`, `apps/lab`, `bench`: the package that a path belongs to. Undefined for what is not ours. */
function homeOf(path: string): string | undefined {
  return /^(?:packages|apps)\/[^/]+|^(?:bench|tests)(?=\/|$)/.exec(path)?.[0]
}

/** Tests, what only tests use, and settings of tools. None of them is published. */
function isPublished(path: string): boolean {
  return path.startsWith('packages/') && !/\.test\.ts$|\.config\.ts$|^packages\/[^/]+\/(test|fixtures)\//.test(path)
}

/** What any package may import. Of these, only drivers may import the pool. */
const COMMON: readonly (string | undefined)[] = ['packages/core', 'packages/pool']
const DRIVERS: readonly (string | undefined)[] = ['packages/pg', 'packages/neon']

/** The rooms of the pool, each on the floor above the ones before it: a file imports from its own room and from below. */
const FLOORS = [
  'driver',
  'options',
  'stats.ts',
  'connection',
  'fleet',
  'connect',
  'inquiry',
  'checkout',
  'statement',
  'pool.ts',
  'transaction',
  'lone-client.ts',
  'scope',
]

/** -1: the entry of the package, or no file of the pool. */
function floorOf(path: string): number {
  const room = /^packages\/pool\/src\/([^/]+)/.exec(path)?.[1]
  return room === undefined ? -1 : FLOORS.indexOf(room)
}

const RULES: readonly Rule[] = [
  {
    name: 'a room of the pool imports from below',
    breaks: ({ from, to }) => isPublished(from) && floorOf(from) !== -1 && floorOf(to) > floorOf(from),
  },
  {
    name: 'core imports nothing',
    breaks: ({ from, to }) => from.startsWith('packages/core/') && isPublished(from) && homeOf(to) !== 'packages/core',
  },
  {
    name: 'a package imports core, and no other package',
    breaks: ({ from, to }) => isPublished(from) && to.startsWith('packages/') && ![...COMMON, homeOf(from)].includes(homeOf(to)),
  },
  {
    name: 'only drivers import the pool',
    breaks: ({ from, to }) => homeOf(to) === 'packages/pool' && !['packages/pool', ...DRIVERS].includes(homeOf(from)),
  },
  {
    name: 'the tests of a package import core and the testkit, and no other package',
    breaks: ({ from, to }) =>
      from.startsWith('packages/') &&
      !isPublished(from) &&
      to.startsWith('packages/') &&
      ![...COMMON, 'packages/testkit', homeOf(from)].includes(homeOf(to)),
  },
  {
    name: 'apps, bench and tests import their own files, and no other package does',
    breaks: ({ from, to }) => homeOf(to) !== undefined && !to.startsWith('packages/') && homeOf(from) !== homeOf(to),
  },
  {
    name: 'packages are imported by their names',
    breaks: ({ from, to }) => to.startsWith('packages/') && homeOf(to) !== to && homeOf(from) !== homeOf(to),
  },
]

/** The imports among `files`, which are paths below `root`, that break a rule: `rule: from → to`. */
export async function strayArrows(root: string, files: readonly string[]): Promise<string[]> {
  const arrows: Arrow[] = []
  for (const from of files) {
    for (const name of importsOf(from, await readFile(join(root, from), 'utf8'))) arrows.push({ from, to: targetOf(from, name) })
  }
  const broken = RULES.flatMap((rule) => arrows.filter(rule.breaks).map(({ from, to }) => `${rule.name}: ${from} → ${to}`))
  return [...broken, ...cyclesOf(arrows)].sort()
}

/** The names in `import`, `export … from` and `import()`, types too: who imports a type needs the package. */
function importsOf(path: string, source: string): string[] {
  const { module, errors } = parseSync(path, source)
  if (errors[0]) throw new Error(`${path}: ${errors[0].message}`)
  const imported = module.staticImports.map(({ moduleRequest }) => moduleRequest.value)
  const exported = module.staticExports.flatMap(({ entries }) => entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? []))
  // What is not a literal is an expression, and says nothing before it runs.
  const dynamic = module.dynamicImports.map(({ moduleRequest: { start, end } }) => source.slice(start, end))
  return [...imported, ...exported, ...dynamic.filter((text) => /^['"`]/.test(text)).map((text) => text.slice(1, -1))]
}

function targetOf(from: string, name: string): string {
  if (name.startsWith('.')) return posix.join(posix.dirname(from), name)
  return name.replace(/^@thaw\/([^/]+).*/, 'packages/$1')
}

/** The ways that lead from a file back to it. */
function cyclesOf(arrows: readonly Arrow[]): string[] {
  const cycles = new Set<string>()
  const finished = new Set<string>()
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path)
    if (start !== -1) cycles.add(`no cycles: ${[...way.slice(start), path].join(' → ')}`)
    if (start !== -1 || finished.has(path)) return
    for (const { from, to } of arrows) if (from === path) visit(to, [...way, path])
    finished.add(path)
  }
  for (const { from } of arrows) visit(from, [])
  return [...cycles]
}
