/** The app as people run it: from source, and as the bundle that is uploaded. */

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { terminateSessions, waitForSessions } from '@thaw/testkit'
import { describe, expect, test } from 'vitest'
import { startLocally } from './local.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

describe.for(['source', 'bundle'])('from %s', (form) => {
  test('takes orders, and goes on when its sessions were ended while it was frozen', async () => {
    if (form === 'bundle') await bundle()
    await using app = await (form === 'bundle' ? startLocally(new URL('../dist/', import.meta.url), 'mjs') : startLocally())
    const order = async (item: string) => {
      const response = await fetch(`${app.url}/orders`, { method: 'POST', body: JSON.stringify({ item }) })
      return { status: response.status, ...((await response.json()) as { id: number }) }
    }
    expect(await order('tea')).toEqual({ status: 201, id: 1, item: 'tea' })
    await app.orders.whenFrozen()
    expect(app.orders.isFrozen).toBe(true)
    expect(await terminateSessions(app.server, 'app-lambda')).toBe(1)
    expect(await order('milk')).toEqual({ status: 201, id: 2, item: 'milk' })
    expect(await (await fetch(`${app.url}/orders`)).json()).toHaveLength(2)
    expect(await (await fetch(`${app.url}/stream`)).text()).toBe('{"id":1,"item":"tea"}\n{"id":2,"item":"milk"}\n')
    expect((await fetch(`${app.url}/orders`, { method: 'POST', body: '{}' })).status).toBe(400)
    expect(app.orders.coldStarts).toBe(1)
  })

  test('leaves no session when the function is shut down', async () => {
    if (form === 'bundle') await bundle()
    await using app = await (form === 'bundle' ? startLocally(new URL('../dist/', import.meta.url), 'mjs') : startLocally())
    await fetch(`${app.url}/orders`)
    await waitForSessions(app.server, 'app-lambda', 1)
    expect(await app.orders.shutdown()).toMatchObject({ signals: ['SIGTERM'], end: { code: 0 } })
    await waitForSessions(app.server, 'app-lambda', 0)
  })
})

test('one command starts it, and Ctrl-C ends it', async () => {
  const child = spawn(process.execPath, ['src/start.ts'], {
    cwd: ROOT,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    said += chunk
    if (said.includes('Ctrl-C')) break
  }
  const url = /http:\S+?(?=\. )/.exec(said)?.[0]
  expect(await (await fetch(`${url}/orders`)).json()).toEqual([])
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('the template names the bundle’s handlers, and a runtime that exists', async () => {
  const template = await readFile(new URL('../template.yaml', import.meta.url), 'utf8')
  expect(template.match(/Handler: \S+/g)).toEqual(['Handler: handler.handler', 'Handler: stream.handler'])
  expect(template).toContain('CodeUri: dist/')
  expect(template).toContain('Runtime: nodejs24.x')
})

async function bundle(): Promise<void> {
  const { scripts } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as { scripts: { bundle: string } }
  await promisify(execFile)('sh', ['-c', scripts.bundle], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${ROOT}node_modules/.bin:${process.env.PATH}` },
  })
}
