/** An invocation and the body of its answer. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { currentInvocation } from '@thaw/core'
import { expect, test, vi } from 'vitest'
import { joinPool, LEAK, told } from '../test/play-pool.ts'
import { serveContexts } from '../test/serve-contexts.ts'
import type { RequestContext } from './context.ts'
import { withThaw } from './with-thaw.ts'

const contexts = serveContexts(new AsyncLocalStorage<RequestContext>())

test('goes on until the body has been read, if a client is still in use', async () => {
  const pool = joinPool(true)
  const onLeak = vi.fn()
  async function* rows() {
    try {
      yield 'first,'
      yield 'second'
    } finally {
      pool.give()
    }
  }
  const original = new Response(ReadableStream.from(rows()).pipeThrough(new TextEncoderStream()))
  const response = await withThaw(async () => original, { onLeak })()
  expect([response, told]).toEqual([original, ['begin']])
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  expect([await reader?.read(), await reader?.read(), await reader?.read()]).toMatchObject([
    { value: 'first,' },
    { value: 'second' },
    { done: true },
  ])
  await expect.poll(() => told).toEqual(['begin', 'finish'])
  expect(onLeak).not.toHaveBeenCalled()
})

test.each(['reads it', 'gives it up'])('that forgot a client has it taken back when who reads the body %s', async (how) => {
  joinPool(true)
  const onLeak = vi.fn()
  const response = await withThaw(async () => Response.json({}), { onLeak })()
  if (how === 'reads it') for await (const _ of response.body ?? []);
  else await response.body?.cancel()
  await expect.poll(() => onLeak).toHaveBeenCalledExactlyOnceWith(LEAK)
})

test('goes on until the body has been read, whether or not a client is in use', async () => {
  joinPool()
  const held: Promise<unknown>[] = []
  const deadlines: (number | undefined)[] = []
  const endsAt = Date.now() + 100_000
  const context: RequestContext = { deadline: new Date(endsAt).toISOString(), waitUntil: (promise) => void held.push(promise) }
  const handler = withThaw(async () => {
    const pull = (controller: ReadableStreamDefaultController) => {
      deadlines.push(currentInvocation()?.deadlineAt)
      if (deadlines.length === 2) controller.close()
      else controller.enqueue(new Uint8Array(1))
    }
    return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }))
  })
  const response = await contexts.run(context, handler)
  // Nothing is at stake any more that the platform would not wait for itself.
  await Promise.all(held)
  expect(told).toEqual(['begin'])
  await new Response(response.body).arrayBuffer()
  expect(deadlines).toEqual([endsAt - 500, endsAt - 500])
  await expect.poll(() => told).toEqual(['begin', 'finish'])
})

test.each(['arrayBuffer', 'blob', 'bytes', 'json', 'text'] as const)('ends when %s() has read the body', async (read) => {
  joinPool()
  const response = await withThaw(async () => Response.json('body'))()
  expect(told).toEqual(['begin'])
  await response[read]()
  expect(told).toEqual(['begin', 'finish'])
})

test('ends when the body of a cloned response has been read', async () => {
  joinPool()
  const response = await withThaw(async () => Response.json('body'))()
  const clone = response.clone()
  const read = async (body: ReadableStream | null) => (await new Response(body).text()).length
  expect(await Promise.all([read(clone.body), read(response.body)])).toEqual([6, 6])
  expect(told).toEqual(['begin', 'finish'])
})

const WAYS: Readonly<Record<string, (body: ReadableStream) => Promise<unknown>>> = {
  'a reader': async (body) => {
    const reader = body.getReader()
    while (!(await reader.read()).done);
  },
  'for await': async (body) => {
    for await (const _ of body);
  },
  'for await, left early': async (body) => {
    for await (const _ of body) break
  },
  pipeTo: (body) => body.pipeTo(new WritableStream()),
  pipeThrough: (body) => new Response(body.pipeThrough(new TransformStream())).text(),
  'a stream of Node': (body) => buffer(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0])),
  cancel: (body) => body.cancel(),
  'cancel of a reader': (body) => body.getReader().cancel(),
}

test.each(Object.entries(WAYS))('ends when its body has been read by %s', async (_, read) => {
  joinPool()
  const response = await withThaw(async () => Response.json('body'))()
  expect(told).toEqual(['begin'])
  await read(response.body ?? expect.unreachable())
  await expect.poll(() => told).toEqual(['begin', 'finish'])
})

test('goes on when a body cannot be cancelled because it has another reader, or is left to another reader', async () => {
  joinPool()
  let chunks = 2
  const pull = (controller: ReadableStreamDefaultController) => {
    if (chunks-- > 0) controller.enqueue(new Uint8Array(1))
    else controller.close()
  }
  const { body } = await withThaw(async () => new Response(new ReadableStream({ pull }, { highWaterMark: 0 })))()
  const first = body?.getReader()
  await expect(body?.cancel()).rejects.toThrow(TypeError)
  await expect(body?.pipeTo(new WritableStream())).rejects.toThrow(TypeError)
  await first?.read()
  first?.releaseLock()
  await new Promise(setImmediate)
  expect(told).toEqual(['begin'])
  const second = body?.getReader()
  expect([await second?.read(), await second?.read()]).toMatchObject([{ done: false }, { done: true }])
  await expect.poll(() => told).toEqual(['begin', 'finish'])
})

test('ends when its body fails', async () => {
  joinPool()
  const pull = () => Promise.reject(new Error('no more'))
  const response = await withThaw(async () => new Response(new ReadableStream({ pull })))()
  await expect(new Response(response.body).text()).rejects.toThrow('no more')
  expect(told).toEqual(['begin', 'finish'])
})

test('does not wait for a body that is not read: HEAD', async () => {
  joinPool(true)
  const onLeak = vi.fn()
  const cancel = vi.fn()
  const handler = withThaw(async (_: Request) => new Response(new ReadableStream({ cancel })), { onLeak })
  await handler(new Request('https://instance.vercel.app/', { method: 'HEAD' }))
  await expect.poll(() => onLeak).toHaveBeenCalled()
  expect(cancel).toHaveBeenCalled()
})
