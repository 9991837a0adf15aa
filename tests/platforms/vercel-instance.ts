import { type PostgresServer, startVercel, type VercelInstance, type VercelOptions } from '@thaw/testkit'
import type { Setup } from './vercel-function.ts'

const FUNCTION = new URL('./vercel-function.ts', import.meta.url)

/** Starts an instance of the function of these tests. */
export function startFunction(setup: Setup, options: VercelOptions = {}): Promise<VercelInstance> {
  return startVercel(FUNCTION, { ...options, env: { SETUP: JSON.stringify(setup) } })
}

/** Asks it, and returns what it answered. Throws if it did not. */
export async function ask<Answer>(instance: VercelInstance, path: string): Promise<Answer> {
  const { status, headers, body } = await instance.request(path)
  if (status !== 200) throw new Error(`${path}: ${status} ${headers['x-vercel-error']} ${instance.stderr}`)
  return JSON.parse(body) as Answer
}

let lastName = 0

/** The options of a pool of its own, told apart by its name at the server. */
export function poolOf(
  server: PostgresServer,
  options: object = {},
): { readonly application_name: string; readonly connectionString: string } {
  return { connectionString: server.url, application_name: `vercel-${process.pid}-${++lastName}`, ...options }
}
