/** A real Next.js, of the app of these tests: a copy of it, built, served by `next start` or `next dev`. */

import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { type ClientRequest, request } from 'node:http'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type ChildProgram, startProgram } from './child-program.ts'

/** Inside of this package, where its dependencies are found, and outside of what Git and the house's rules see. */
const COPIES = fileURLToPath(new URL('../dist/', import.meta.url))
export const NEXT: string = createRequire(import.meta.url).resolve('next/dist/bin/next')

/** A copy of the app that a test may edit. */
export interface AppCopy extends AsyncDisposable {
  readonly folder: string
}

export async function copyApp(app: 'next-app' | 'next-cache-app' | 'opennext-app' = 'next-app'): Promise<AppCopy> {
  await mkdir(COPIES, { recursive: true })
  const folder = await mkdtemp(`${COPIES}next-`)
  await cp(fileURLToPath(new URL(app, import.meta.url)), folder, { recursive: true })
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 3 }) }
}

export interface NextServer extends AsyncDisposable {
  readonly url: string
  /** The process that serves. */
  readonly pid: number
  /** What it wrote so far, to stdout and stderr. */
  readonly output: string
  /** Sends SIGTERM, and resolves when it has ended. */
  stop(): Promise<void>
}

/** Builds the app. Rejects with what the compiler says if it cannot be built. */
export async function buildApp(
  folder: string,
  bundler: 'turbopack' | 'webpack' = 'turbopack',
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await runNode(folder, [NEXT, 'build', `--${bundler}`], env).ended()
}

export async function startNext(
  folder: string,
  how: 'start' | 'dev',
  env: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<NextServer> {
  return serverOf(runNode(folder, [NEXT, how, '--hostname', '127.0.0.1', '--port', '0', ...args], env), 'Ready in')
}

/** Resolves when it has said that it is ready, and where. Rejects if it ends before. */
export async function serverOf({ child, output }: ChildProgram, ready: string): Promise<NextServer> {
  const ended = once(child, 'exit')
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', () => output().includes(ready) && resolve())
    child.on('exit', resolve)
  })
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output())?.[0]
  if (!url) throw new Error(`${child.spawnargs.slice(1).join(' ')} did not start.\n${output()}`)
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  return {
    url,
    pid: child.pid ?? 0,
    get output() {
      return output()
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Runs a program of Node in a folder. */
export function runNode(folder: string, args: readonly string[], env?: Readonly<Record<string, string>>): ChildProgram {
  return startProgram(folder, [process.execPath, ...args], env)
}

/** What was answered. */
export interface Answer {
  readonly status: number
  readonly body: string
}

/** Sends a GET, and resolves once it lies in the kernel of the server, which need not run. */
export async function deliver(url: string): Promise<{ readonly answer: Promise<Answer> }> {
  const outgoing: ClientRequest = request(url, { agent: false })
  const answer = new Promise<Answer>((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      text(incoming).then((body) => resolve({ status: incoming.statusCode ?? 0, body }), reject)
    })
  })
  answer.catch(() => {})
  outgoing.end()
  await once(outgoing, 'finish')
  return { answer }
}
