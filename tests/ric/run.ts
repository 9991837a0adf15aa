/**
 * Runs the tests on Lambda on the very loop that AWS runs, `aws-lambda-ric`: `pnpm --filter thaw-tests test:ric`. No part of `test`, because npm
 * builds it from C++: that takes a minute, and cmake, make, g++ and the headers of Node.
 */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSION = '4.0.2'
const TESTS = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(TESTS, 'node_modules', '.ric')
const RIC = join(FOLDER, 'node_modules', 'aws-lambda-ric')

function run(command: string, args: readonly string[], options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }): void {
  const { status, error } = spawnSync(command, args, { ...options, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

if (!existsSync(join(RIC, 'rapid-client.node'))) {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, 'package.json'), '{ "private": true }')
  // By the Node of the machine, which has headers: the one that we bring along has none. What is built is the same for both.
  const PATH = process.env['PATH']?.split(delimiter).filter((folder) => !folder.includes('node_modules'))
  run('npm', ['install', '--no-audit', '--no-fund', `aws-lambda-ric@${VERSION}`], {
    cwd: FOLDER,
    env: { ...process.env, PATH: PATH?.join(delimiter) },
  })
}
run(process.execPath, [join(TESTS, 'node_modules', 'vitest', 'vitest.mjs'), 'run', 'platforms/lambda.test.ts'], {
  cwd: TESTS,
  env: { ...process.env, AWS_LAMBDA_RIC: join(RIC, 'index.mjs') },
})
