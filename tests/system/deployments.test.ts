/** What the pages say to deploy with, held against the tools' own words, from npm: SAM's specification as the AWS CDK has it, SST's types, Vercel's types. */

import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type PostgresServer, startLambda, startPostgres } from '@thaw/testkit'
import { type BuildOptions, build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { find, ROOT, read } from '../house/repository.ts'
import { snippetsOf } from '../house/snippets.ts'
import { type Packed, packAll, run } from '../package/packed.ts'
import { createProject, type Project } from './project.ts'

const PAGE = 'docs/start/lambda.md'
const PATIENCE_MILLIS = 600_000
const TSC = join(ROOT, 'node_modules/.bin/tsc')

let packed: Packed
let project: Project
/** As the page's first snippet says. */
let handler: string

beforeAll(async () => {
  packed = await packAll()
  const snippets = snippetsOf(PAGE, await read(PAGE))
  handler = snippets.find(({ code }) => code.includes('export const handler'))?.code ?? ''
  project = await createProject({
    packed,
    page: PAGE,
    dependencies: {
      '@thaw/lambda': 'packed',
      '@thaw/pg': 'packed',
      pg: '8.23.1',
      '@aws-cdk/aws-service-spec': '0.1.216',
      '@pulumi/pulumi': '3.215.0',
      '@vercel/config': '0.7.2',
      sst: '4.17.1',
      yaml: '2.9.1',
    },
    files: { 'handler.ts': handler, 'check-sam.mjs': CHECK_SAM },
  })
}, PATIENCE_MILLIS)
afterAll(async () => {
  await project?.[Symbol.asyncDispose]()
  await packed?.[Symbol.asyncDispose]()
})

/** Prints what a template says that the specification does not know, a line each, and its resources as JSON. */
const CHECK_SAM = `import { readFileSync } from 'node:fs'
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec'
import { parse } from 'yaml'
const tag = (name) => ['scalar', 'map', 'seq'].map((kind) => ({ tag: '!' + name, ...(kind === 'scalar' ? {} : { collection: kind }), resolve: () => ({ intrinsic: name }) }))
const template = parse(readFileSync(process.argv[2], 'utf8'), { customTags: [...tag('Ref'), ...tag('Sub'), ...tag('GetAtt')] })
const spec = loadAwsServiceSpecSync()
const wrong = []
const isIntrinsic = (value) => typeof value === 'object' && value !== null && 'intrinsic' in value
function fits(value, type) {
  if (isIntrinsic(value)) return true
  switch (type.type) {
    case 'string': return typeof value === 'string'
    case 'number': case 'integer': return typeof value === 'number'
    case 'boolean': return typeof value === 'boolean'
    case 'array': return Array.isArray(value) && value.every((one) => fits(one, type.element))
    case 'map': return typeof value === 'object' && Object.values(value).every((one) => fits(one, type.element))
    case 'union': return type.types.some((one) => fits(value, one))
    case 'ref': return typeof value === 'object' && properties(value, spec.get('typeDefinition', type.reference.$ref).properties, [])
    default: return true
  }
}
function properties(given, known, complaints) {
  let isRight = true
  for (const [name, value] of Object.entries(given)) {
    const types = known[name] && [known[name].type, ...(known[name].previousTypes ?? [])]
    if (types?.some((type) => fits(value, type))) continue
    complaints.push(name + ': ' + (types ? JSON.stringify(value) : 'unknown'))
    isRight = false
  }
  return isRight
}
const functionType = spec.lookup('resource', 'cloudFormationType', 'equals', 'AWS::Serverless::Function').only()
properties(template.Globals?.Function ?? {}, functionType.properties, wrong)
for (const { Type, Properties } of Object.values(template.Resources)) {
  const [resource] = spec.lookup('resource', 'cloudFormationType', 'equals', Type)
  if (resource) properties(Properties, resource.properties, wrong)
  else wrong.push(Type + ': unknown')
}
console.log(JSON.stringify({ wrong, resources: template.Resources }))`

interface Checked {
  readonly wrong: readonly string[]
  readonly resources: Readonly<Record<string, { Metadata?: { BuildProperties: Readonly<Record<string, unknown>> } }>>
}

async function checkSam(text: string): Promise<Checked> {
  await writeFile(join(project.folder, 'checked.yaml'), text)
  return JSON.parse(await project.run(['node', 'check-sam.mjs', 'checked.yaml'])) as Checked
}

describe('SAM', () => {
  const templateOf = async () => snippetsOf(PAGE, await read(PAGE)).find(({ info }) => info.includes('file=template.yaml'))?.code ?? ''

  test(
    'knows all that the templates say, and would say what it does not know',
    async () => {
      const templates = [await templateOf(), await read('apps/lambda/template.yaml')]
      for (const template of templates) expect((await checkSam(template)).wrong).toEqual([])
      const bad = templates[0]?.replace('MemorySize: 512', 'MemorySize: lots').replace('AuthType', 'AuthTyp').replace('Timeout', 'TimeOut')
      expect((await checkSam(bad ?? '')).wrong).toEqual([
        'MemorySize: "lots"',
        'TimeOut: unknown',
        expect.stringContaining('FunctionUrlConfig'),
      ])
    },
    PATIENCE_MILLIS,
  )

  test(
    'builds the handler of the page so that it can be invoked',
    async () => {
      const { resources } = await checkSam(await templateOf())
      const { EntryPoints, External, Minify, Target } = resources['Orders']?.Metadata?.BuildProperties ?? {}
      // As SAM runs esbuild: https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build-typescript.html
      await build({
        absWorkingDir: project.folder,
        entryPoints: EntryPoints as string[],
        external: External as string[],
        minify: Minify as boolean,
        target: Target as string,
        bundle: true,
        platform: 'node',
        format: 'cjs',
        outdir: 'built',
        outExtension: { '.js': '.cjs' },
        logLevel: 'error',
      } satisfies BuildOptions)
      await using server: PostgresServer = await startPostgres()
      await server.query("CREATE TABLE orders AS SELECT 1 AS id, 'ice' AS item")
      await using lambda = startLambda(pathToFileURL(join(project.folder, 'built/handler.cjs')), {
        env: { DATABASE_URL: server.url },
      })
      expect(await lambda.invoke({ id: 1 })).toEqual({ id: 1, item: 'ice' })
    },
    PATIENCE_MILLIS,
  )
})

test(
  'SST knows all that its configuration says, and would say what it does not know',
  async () => {
    // Its program asks for Pulumi and Bun, which it would load from GitHub, before it installs its types: two that only tell their versions will do.
    const bin = join(project.folder, 'home/sst/bin')
    await mkdir(bin, { recursive: true })
    for (const [name, version] of [
      ['pulumi', 'v3.215.0'],
      ['bun', '1.2.1'],
    ] as const) {
      await writeFile(join(bin, name), `#!/bin/sh\necho ${version}\n`)
      await chmod(join(bin, name), 0o755)
    }
    const home = { HOME: join(project.folder, 'home'), XDG_CONFIG_HOME: join(project.folder, 'home'), SST_TELEMETRY_DISABLED: '1' }
    await project.run(['sst', 'install', '--stage', 'test'], home)
    const compilerOptions = {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      module: 'esnext',
      moduleResolution: 'bundler',
      target: 'esnext',
      types: [],
    }
    const complaints = async (name: string) => {
      await writeFile(join(project.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [name] }))
      const { stdout } = await run(TSC, ['--project', '.', '--pretty', 'false'], { cwd: project.folder }).catch(
        (error: { stdout: string }) => error,
      )
      // SST's own sources need all of Pulumi's providers to compile.
      return stdout.split('\n').filter((line) => line.startsWith(name))
    }
    expect(await complaints('sst.config.ts')).toEqual([])
    const config = snippetsOf(PAGE, await read(PAGE)).find(({ info }) => info.includes('file=sst.config.ts'))?.code ?? ''
    await writeFile(join(project.folder, 'bad.config.ts'), config.replace("timeout: '10 seconds'", "timeout: '10 parsecs'"))
    expect(await complaints('bad.config.ts')).toEqual([expect.stringContaining('10 parsecs')])
  },
  PATIENCE_MILLIS,
)

test(
  'Vercel knows all that each vercel.json says, and would say what it does not know',
  async () => {
    const files = await Promise.all((await find('apps/*/vercel.json')).map(read))
    const pages = await Promise.all((await find('docs/start/*.md')).map(async (page) => snippetsOf(page, await read(page))))
    const snippets = pages.flat().filter(({ code, info }) => info[0] === 'json' && code.includes('vercel.json'))
    expect(snippets.length).toBeGreaterThan(0)
    const all = [...files, ...snippets.map(({ code }) => code)].map((text) => {
      const { $schema, ...config } = JSON.parse(text) as Record<string, unknown>
      expect($schema).toBe('https://openapi.vercel.sh/vercel.json')
      return JSON.stringify(config)
    })
    const check = async (configs: readonly string[]) => {
      const lines = configs.map((config, index) => `export const config${index}: VercelConfig = ${config}`)
      await writeFile(join(project.folder, 'vercel.ts'), ["import type { VercelConfig } from '@vercel/config/v1'", ...lines].join('\n'))
      const compilerOptions = {
        noEmit: true,
        strict: true,
        skipLibCheck: true,
        module: 'nodenext',
        moduleResolution: 'nodenext',
        types: [],
      }
      await writeFile(join(project.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['vercel.ts'] }))
      return run(TSC, ['--project', '.', '--pretty', 'false'], { cwd: project.folder }).then(
        () => '',
        (error: { stdout: string }) => error.stdout,
      )
    }
    expect(await check(all)).toBe('')
    expect(await check(['{ "functions": { "api/*.ts": { "maxDurations": 30 } } }'])).toContain('maxDurations')
  },
  PATIENCE_MILLIS,
)
