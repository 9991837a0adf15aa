/** The app in a process of its own: as a server on a laptop, and as an instance on Vercel. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { startVercel, type VercelInstance, type VercelOptions, type VercelRequest, type VercelResponse } from '@thaw/testkit'

export type Driver = 'pg' | 'thaw'
export type Environment = Readonly<Record<string, string>>

/** What both have in common. */
export interface RunningApp extends AsyncDisposable {
  readonly pid: number
  readonly stderr: string
  request(path: string, request?: VercelRequest): Promise<Pick<VercelResponse, 'status' | 'body'>>
}

/** A server on a laptop, which ends by signals. */
export interface LaptopApp extends RunningApp {
  readonly url: string
  readonly exited: Promise<number | NodeJS.Signals>
}

const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const execArgvOf = (driver: Driver): string[] => (driver === 'pg' ? ['--import', fileOf('./plain-pg.ts')] : [])

/** Starts `src/server.ts`, or what else is started by a command, and resolves when it takes requests. Throws what it said if it ends instead. */
export async function startOnLaptop(driver: Driver, env: Environment, file = '../src/server.ts'): Promise<LaptopApp> {
  const child = spawn(process.execPath, [...execArgvOf(driver), fileOf(file)], {
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Whatever becomes of the test, frozen or not.
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const url = await new Promise<string>((resolve, reject) => {
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk
      const [found] = /http:\/\/\S+(?=\n)/.exec(stdout) ?? []
      if (found) resolve(found)
    })
    child.on('close', () => reject(new Error(stderr)))
  })
  return {
    url,
    pid: child.pid ?? 0,
    exited,
    get stderr() {
      return stderr
    },
    request: (path, request) => send(url + path, request),
    async [Symbol.asyncDispose]() {
      kill()
      process.off('exit', kill)
      await exited
    },
  }
}

export function startOnVercel(driver: Driver, env: Environment, options: VercelOptions = {}): Promise<VercelInstance> {
  return startVercel(fileOf('../src/app.ts'), { ...options, env, execArgv: execArgvOf(driver) })
}

/** On a connection of its own: one that is kept alive may be closed by the server in the moment in which it is used again. */
function send(url: string, { method, headers = {}, body }: VercelRequest = {}): ReturnType<RunningApp['request']> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent: false, method: method ?? (body === undefined ? 'GET' : 'POST'), headers })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      text(incoming).then((all) => resolve({ status: incoming.statusCode ?? 0, body: all }), reject)
    })
    outgoing.end(body)
  })
}
