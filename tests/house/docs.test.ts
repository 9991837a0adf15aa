/** What the documents show compiles, and what they point at is there. */

import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { slugOf } from '../../docs/.vitepress/links.ts'
import { find, ROOT, read } from './repository.ts'
import { fileOf, isCompiled, type Snippet, snippetsOf, sourceOf } from './snippets.ts'

const run = promisify(execFile)

/** Inside node_modules, so that it finds what these tests depend on, and no other code finds it. */
const PLACE = join(ROOT, 'tests/node_modules/.snippets')
/** Languages that nothing here compiles. TypeScript under another name would escape the compiler. */
const UNCOMPILED = ['', 'diff', 'json', 'mermaid', 'sh', 'sql', 'text', 'yaml']
/** What Deno calls its own, as far as a document uses it. */
const DENO = `declare const Deno: {
  readonly env: { get(name: string): string | undefined }
  serve(handler: (request: Request) => Response | Promise<Response>): unknown
}`
/** A fragment cannot be copied and run. */
const MOST_FRAGMENTS = 3

const pages = new Map<string, string>()
let snippets: Snippet[] = []

beforeAll(async () => {
  for (const page of await find('*.md', 'docs/**/*.md', 'packages/*/README.md', 'apps/*/README.md', 'bench/*.md'))
    pages.set(page, await read(page))
  snippets = [...pages].flatMap(([page, text]) => snippetsOf(page, text))
})

describe('the snippets', () => {
  test('compile', async () => {
    expect(snippets.filter(isCompiled).length).toBeGreaterThan(5)
    expect(await compile(snippets.filter(isCompiled))).toEqual([])
  })

  test('would not pass if one of them were wrong', async () => {
    const page = [
      '# Page',
      '',
      '1. So:',
      '   ```ts',
      "   import { Pool } from '@thaw/pg'",
      '   new Pool({ trustMilis: 1 })',
      '   ```',
    ].join('\n')
    expect(await compile(snippetsOf('planted.md', page))).toEqual([
      expect.stringMatching(/^planted\.md\/line-5\.ts\(6,\d+\): .*trustMilis/),
    ])
  })

  test('are named ts or tsx where they are TypeScript', () => {
    const others = snippets.filter(({ info: [language = ''] }) => !['ts', 'tsx', ...UNCOMPILED].includes(language))
    expect(others.map(({ page, line, info }) => `${page}:${line} ${info[0]}`)).toEqual([])
  })

  test('are fragments in few places only', () => {
    // A file of a newcomer's project is run by test:system.
    const isRun = (info: readonly string[]) => info.some((word) => word.startsWith('file='))
    const fragments = snippets.filter(({ info }) => info.includes('nocheck') && !isRun(info))
    expect(fragments.length, fragments.map(({ page, line }) => `${page}:${line}`).join(', ')).toBeLessThanOrEqual(MOST_FRAGMENTS)
  })
})

/** What a newcomer reads first, and how long it may be. */
test.for([
  ['README.md', 100],
  ['CONTRIBUTING.md', 100],
] as const)('%s has at most %i lines', ([page, most]) => {
  expect(pages.get(page)?.trimEnd().split('\n').length).toBeLessThanOrEqual(most)
})

describe('the links', () => {
  test('lead somewhere in this repository, or out of it', async () => {
    const files = new Set(await find('**/*', '.github/**/*'))
    const dead: string[] = []
    for (const [page, text] of pages) {
      for (const target of linksOf(text)) {
        const [path = '', anchor] = target.split('#')
        const file = path === '' ? page : posix.normalize(posix.join(dirname(page), path)).replace(/\/$/, '')
        if (!files.has(file)) dead.push(`${page}: ${target}`)
        else if (anchor && pages.has(file) && !anchorsOf(pages.get(file) ?? '').has(anchor))
          dead.push(`${page}: ${target} (no such heading)`)
      }
    }
    expect(dead).toEqual([])
  })
})

/** RELEASING.md has the command that removes the sentence. */
test('where a package is installed they say whether it is on npm, until the first release', async () => {
  const isReleased = !/^## 0\.1\.0 \(unreleased\)$/m.test(await read('CHANGELOG.md'))
  const wrong = [...pages].filter(([page, text]) => {
    if (!/^(README\.md$|docs\/start\/|packages\/)/.test(page) || !/^(npm install|bun add)\b.*@thaw\//m.test(text)) return false
    return text.includes('Not on npm yet: ') === isReleased
  })
  expect(wrong.map(([page]) => page)).toEqual([])
})

/** RELEASING.md has the command that replaces the placeholder in all of them. */
test('the clone in CONTRIBUTING is of the repository of package.json', async () => {
  const { repository } = JSON.parse(await read('package.json')) as { repository: { url: string } }
  expect(pages.get('CONTRIBUTING.md')).toContain(`git clone ${repository.url.replace('git+', '')} `)
})

/** In the repository of package.json: a user of a package has no docs folder to look into. */
test('errors point at the page that describes them, one heading for each kind', async () => {
  const { repository } = JSON.parse(await read('package.json')) as { repository: { url: string } }
  const source = await read('packages/core/src/errors.ts')
  const page = 'docs/reference/errors.md'
  expect(source).toContain(`'${repository.url.replace(/^git\+|\.git$/g, '')}/blob/main/${page}'`)
  const kinds = [
    ...source.slice(source.indexOf('type ErrorKind'), source.indexOf('\n\n', source.indexOf('type ErrorKind'))).matchAll(/'([a-z-]+)'/g),
  ]
  expect(kinds.length).toBeGreaterThan(5)
  const anchors = anchorsOf(pages.get(page) ?? '')
  expect(kinds.map(([, kind = '']) => kind).filter((kind) => !anchors.has(kind))).toEqual([])
})

test('each event has a row on the page of events', async () => {
  const { EVENT_TYPES } = await import('@thaw/core')
  const page = pages.get('docs/reference/events.md') ?? ''
  const missing = EVENT_TYPES.filter((type) => !page.includes(`\n| \`${type}\` |`))
  expect(missing, 'add a row to the table in docs/reference/events.md').toEqual([])
})

/** Written by `pnpm bench size`. */
test('the size is told everywhere as it was measured', () => {
  const [, gzipped, ofPg] =
    /added to your bundle \| ([\d.]+ kB) [\s\S]*?`pg` itself[^|]*\| ([\d.]+ kB) /.exec(pages.get('docs/reference/measurements.md') ?? '') ??
    []
  const timesPg = (Number.parseFloat(gzipped ?? '') / Number.parseFloat(ofPg ?? '')).toFixed(1)
  expect(pages.get('README.md')).toContain(`adds ${gzipped}, minified and gzipped: ${timesPg} times \`pg\` itself (${ofPg})`)
  expect(pages.get('docs/start/cloudflare.md')).toContain(`${gzipped} beside \`pg\`'s ${ofPg?.replace(' kB', '')}`)
})

test('they, and CI, call the pnpm that the house uses', async () => {
  const { packageManager } = JSON.parse(await read('package.json')) as { packageManager: string }
  const others: string[] = []
  for (const file of [...pages.keys(), ...(await find('.github/workflows/*.yml', '.ci/*'))]) {
    for (const [called] of (await read(file)).matchAll(/\bpnpm@[\d.]+\d/g)) if (called !== packageManager) others.push(`${file}: ${called}`)
  }
  expect(others).toEqual([])
})

test('the paths that they name are there', async () => {
  const files = await find('{apps,bench,docs,packages,tests,.github}/**/*')
  const missing: string[] = []
  for (const [page, text] of pages) {
    // These speak of their own time, and are not rewritten.
    if (page.startsWith('docs/decisions/') || page === 'CHANGELOG.md') continue
    for (const [, path = ''] of text.matchAll(/`((?:apps|bench|docs|packages|tests|\.github)\/[\w./-]+)`/g)) {
      const wanted = path.replace(/\/$/, '')
      if (!files.includes(wanted)) missing.push(`${page}: ${path}`)
    }
  }
  expect(missing).toEqual([])
})

/** Compiles them all, each a module of its own, and returns what the compiler says. */
async function compile(wanted: readonly Snippet[]): Promise<string[]> {
  await rm(PLACE, { recursive: true, force: true })
  for (const snippet of wanted) {
    const file = join(PLACE, fileOf(snippet))
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, sourceOf(snippet))
  }
  const compilerOptions = {
    types: ['node'],
    noUnusedLocals: false,
    noUnusedParameters: false,
    isolatedDeclarations: false,
    declaration: false,
    jsx: 'preserve',
    // As Next.js and React Router write it into a new app: there an import that ends with `.ts` is an error.
    module: 'preserve',
    moduleResolution: 'bundler',
    allowImportingTsExtensions: false,
  }
  const config = { extends: join(ROOT, 'tsconfig.base.json'), compilerOptions, files: ['deno.d.ts', ...wanted.map(fileOf)] }
  await writeFile(join(PLACE, 'deno.d.ts'), DENO)
  await writeFile(join(PLACE, 'tsconfig.json'), JSON.stringify(config))
  await writeFile(join(PLACE, 'package.json'), JSON.stringify({ type: 'module' }))
  try {
    await run(join(ROOT, 'node_modules/.bin/tsc'), ['--pretty', 'false'], { cwd: PLACE })
    return []
  } catch (error) {
    const { stdout } = error as { stdout?: string }
    if (!stdout) throw error
    return stdout.trim().split('\n')
  }
}

/** Where the links of a page lead, but for those that leave the repository. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^\s*(`{3,})[\s\S]*?^\s*\1\s*$/gm, '').replace(/`[^`\n]*`/g, '')
  const targets = [...prose.matchAll(/\]\(([^)\s]+)/g), ...prose.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)].map((match) => match[1] ?? '')
  return targets.filter((target) => !/^[a-z]+:/.test(target))
}

/** The names that GitHub and the site give to the headings of a page. */
function anchorsOf(markdown: string): Set<string> {
  return new Set([...markdown.matchAll(/^#+ (.*)$/gm)].map((match) => slugOf(match[1] ?? '')))
}
