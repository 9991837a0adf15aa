/**
 * Writes `api/*.md`: for each package, a page with all that it exports, made of its docstrings by TypeDoc. TypeDoc reads the types as they
 * are published, with TypeScript 6: version 7 has no API for it.
 */

import { readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Application, Converter, type DeclarationReflection, type Reflection, ReflectionKind } from 'typedoc'

const PACKAGES = ['pg', 'neon', 'lambda', 'vercel', 'next', 'cloudflare', 'otel', 'testkit']
const out = fileURLToPath(new URL('api', import.meta.url))

const app = await Application.bootstrapWithPlugins({
  entryPoints: PACKAGES.map((name) => fileURLToPath(import.meta.resolve(`@thaw/${name}`)).replace(/\.mjs$/, '.d.mts')),
  tsconfig: fileURLToPath(new URL('api-tsconfig.json', import.meta.url)),
  plugin: ['typedoc-plugin-markdown'],
  out,
  readme: 'none',
  disableSources: true,
  excludeExternals: true,
  excludePrivate: true,
  // What it would report is reported by `tsc`, package by package, and better.
  skipErrorChecking: true,
  logLevel: 'Warn',
  treatWarningsAsErrors: true,
  ...markdownOptions(),
})

app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
  // What a class has from node-postgres or from `ThawError` is told there, and so are the types behind a default export. Errors are caught by users, not made.
  const noise = project
    .getReflectionsByKind(ReflectionKind.All)
    .filter((each) => isInherited(each) || isConstructorOfError(each) || each.kindOf(ReflectionKind.Namespace))
  for (const each of noise) project.removeReflection(each)
})

const project = await app.convert()
if (!project) throw new Error('TypeDoc could not read the types of the packages. Build them first: pnpm build.')
for (const module of project.children ?? []) module.name = module.name.replace(/\/dist.*/, '')
await rm(out, { recursive: true, force: true })
await app.generateOutputs(project)
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1)
await rm(`${out}/README.md`)
for (const name of PACKAGES) {
  const file = `${out}/${name}.md`
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace(/^# .*$/m, `# API of @thaw/${name}`))
}

function isInherited(each: Reflection): boolean {
  return (each as DeclarationReflection).inheritedFrom !== undefined
}

function isConstructorOfError(each: Reflection): boolean {
  return each.kindOf(ReflectionKind.Constructor) && each.parent?.name.endsWith('Error') === true
}

/** Of the plugin, which does not declare them for `bootstrapWithPlugins`. */
function markdownOptions(): object {
  return {
    outputFileStrategy: 'modules',
    hidePageHeader: true,
    hideBreadcrumbs: true,
    // Its links count headings of one name in another way than the site.
    useHTMLAnchors: true,
    parametersFormat: 'table',
    classPropertiesFormat: 'table',
    interfacePropertiesFormat: 'table',
    typeDeclarationFormat: 'table',
  }
}
