/** A user of the app. */

import { randomUUID } from 'node:crypto'
import type { PostgresServer } from '@thaw/testkit'
import type { RunningApp } from './running-app.ts'

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface Customer {
  readonly email: string
  register(): Promise<Answer>
  login(): Promise<Answer>
  /** With the token of the last login. */
  order(item: string, key?: string): Promise<Answer>
  orders(): Promise<readonly { readonly item: string }[]>
}

const PASSWORD = 'correct horse battery staple'

export function customerOf(app: RunningApp): Customer {
  const email = `${randomUUID()}@example.com`
  let token = ''
  const ask = async (path: string, body?: object, headers: Readonly<Record<string, string>> = {}): Promise<Answer> => {
    const response = await app.request(path, {
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return { status: response.status, body: JSON.parse(response.body) as Answer['body'] }
  }
  const enter = async (path: string): Promise<Answer> => {
    const answer = await ask(path, { email, password: PASSWORD })
    if (answer.body['token']) token = String(answer.body['token'])
    return answer
  }
  return {
    email,
    register: () => enter('/register'),
    login: () => enter('/login'),
    order: (item, key = randomUUID()) => ask('/orders', { item }, { 'idempotency-key': key }),
    orders: async () => (await ask('/orders')).body as unknown as { item: string }[],
  }
}

/** What she has ordered, as the table has it. */
export async function storedFor(server: PostgresServer, { email }: Customer): Promise<string[]> {
  const { rows } = await server.query<{ item: string }>(
    'SELECT item FROM orders JOIN accounts ON accounts.id = account_id WHERE email = $1 ORDER BY item',
    [email],
  )
  return rows.map(({ item }) => item)
}
