/** What a bundler makes of @thaw/pg and core: minified by esbuild, compressed by gzip. */

import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type BuildOptions, build, type Plugin, transform } from 'esbuild'

/** This repository. */
export const ROOT: string = join(import.meta.dirname, '../..')

const MINIFIED: BuildOptions = {
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  write: false,
  logLevel: 'silent',
}

export interface Bundle {
  readonly minified: number
  readonly gzipped: number
  readonly text: string
}

/** The module `contents`, as it would be shipped. */
export async function bundle(contents: string, external: string[]): Promise<Bundle> {
  return measure(await textOf({ ...MINIFIED, stdin: { contents, resolveDir: import.meta.dirname }, external }))
}

/** @thaw/pg with core, from the sources of the checkout in `root`: what is in its history was never built here. */
export async function bundleSources(root: string): Promise<Bundle> {
  return measure(await textOf({ ...MINIFIED, ...sourcesIn(root) }))
}

/** One source file of a bundle, minified. */
export interface Part {
  /** Below the root: `packages/core/src/gate.ts`. */
  readonly file: string
  readonly text: string
}

/** @thaw/pg with core, file by file. Together the parts are as large as the bundle. */
export async function bundleParts(): Promise<Part[]> {
  // With white space, esbuild heads each file with its path.
  const text = await textOf({ ...MINIFIED, ...sourcesIn(ROOT), minify: false, minifyIdentifiers: true, minifySyntax: true })
  const pieces = text.replace(/^export \{[^}]*\};?$/gm, '').split(/^\/\/ (packages\/\S+)$/m)
  const parts: Part[] = []
  for (let index = 1; index < pieces.length; index += 2) {
    const { code } = await transform(pieces[index + 1] ?? '', { minifyWhitespace: true, format: 'esm' })
    parts.push({ file: pieces[index] ?? '', text: code })
  }
  return parts
}

export function measure(text: string): Bundle {
  return { text, minified: Buffer.byteLength(text), gzipped: gzipSync(text, { level: 9 }).length }
}

function sourcesIn(root: string): BuildOptions {
  const source = (name: string, module = 'index'): string => join(root, 'packages', name, 'src', `${module}.ts`)
  const plugin: Plugin = {
    name: 'sources',
    setup({ onResolve }) {
      onResolve({ filter: /^@thaw\/(?:core|pool)(?:\/|$)/ }, ({ path }) => {
        const [, name = '', module] = path.split('/')
        return { path: source(name, module) }
      })
    },
  }
  return { absWorkingDir: root, entryPoints: [source('pg')], plugins: [plugin], external: ['pg'] }
}

async function textOf(options: BuildOptions): Promise<string> {
  const { outputFiles } = await build(options)
  return outputFiles?.[0]?.text ?? ''
}
