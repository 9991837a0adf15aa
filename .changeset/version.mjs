/** Makes a version of what waits here: one number for all packages and the root, and one changelog, since they are released together. */

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const versionOf = (path) => JSON.parse(readFileSync(path, 'utf8')).version
const texts = readdirSync('.changeset')
  .filter((name) => name.endsWith('.md') && name !== 'README.md')
  .sort()
  .map((name) =>
    readFileSync(`.changeset/${name}`, 'utf8')
      .replace(/^---[\s\S]*?\n---\n/, '')
      .trim(),
  )
if (texts.length === 0) throw new Error('Nothing waits in .changeset. `pnpm changeset` adds something.')

execFileSync('changeset', ['version'], { stdio: 'inherit' })

const before = versionOf('package.json')
const version = versionOf('packages/pg/package.json')
writeFileSync('package.json', readFileSync('package.json', 'utf8').replace(`"version": "${before}"`, `"version": "${version}"`))
const changelog = readFileSync('CHANGELOG.md', 'utf8')
const first = changelog.search(/^## /m)
writeFileSync('CHANGELOG.md', `${changelog.slice(0, first)}## ${version}\n\n${texts.join('\n\n')}\n\n${changelog.slice(first)}`)
