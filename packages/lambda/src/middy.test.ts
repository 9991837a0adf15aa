import middy from '@middy/core'
import { type TrackedPool, trackPool } from '@thaw/core'
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { invocation, thawMiddleware, withThaw } from './index.ts'

const told: string[] = []
const member: TrackedPool = {
  pool: {},
  holds: () => false,
  begin: ({ id }) => void told.push(`begin ${id}`),
  finish: ({ id }) => (told.push(`finish ${id}`) ? [] : []),
  closeIdle: async () => {},
}
let leave = () => {}
beforeEach(() => {
  told.length = 0
  leave = trackPool(member)
})
afterEach(() => leave())

const event = {} as APIGatewayProxyEventV2
const context = (id: string) => ({ awsRequestId: id, getRemainingTimeInMillis: () => 3000 }) as Context
const slow = { before: async () => void (await new Promise(setImmediate)) }

test('a handler behind the middleware knows its invocation, and so do the other middlewares', async () => {
  const seen: (string | undefined)[] = []
  const handler = middy<APIGatewayProxyEventV2, string>()
    .use(thawMiddleware())
    .use(slow)
    .use({ before: () => void seen.push(invocation()?.id) })
    .handler(async () => {
      await new Promise(setImmediate)
      seen.push(invocation()?.id)
      return 'done'
    })
  expect(await handler(event, context('a'))).toBe('done')
  expect(await handler(event, context('b'))).toBe('done')
  expect(seen).toEqual(['a', 'a', 'b', 'b'])
  expect(told).toEqual(['begin a', 'finish a', 'begin b', 'finish b'])
})

test('an error ends it, once', async () => {
  const handler = middy()
    .use(thawMiddleware())
    .handler(async () => {
      throw new Error('no')
    })
  await expect(handler(event, context('a'))).rejects.toThrow('no')
  expect(told).toEqual(['begin a', 'finish a'])
})

test('an error after the end does not end it again', async () => {
  const broken = {
    after: () => {
      throw new Error('no')
    },
  }
  const handler = middy()
    .use(broken)
    .use(thawMiddleware())
    .handler(async () => 'done')
  await expect(handler(event, context('a'))).rejects.toThrow('no')
  expect(told).toEqual(['begin a', 'finish a'])
})

test('a middleware that answers early leaves the end to the next invocation', async () => {
  let isCached = true
  const cache = { before: () => (isCached ? 'cached' : undefined) }
  const handler = middy()
    .use(thawMiddleware())
    .use(cache)
    .handler(async () => 'done')
  expect(await handler(event, context('a'))).toBe('cached')
  isCached = false
  expect(await handler(event, context('b'))).toBe('done')
  expect(told).toEqual(['begin a', 'finish a', 'begin b', 'finish b'])
})

test('a whole middy can be wrapped instead', async () => {
  const handler = withThaw(middy().handler(async () => invocation()?.id))
  expect(await handler(event, context('a'))).toBe('a')
  expect(handler).toHaveProperty('use')
  expect(handler).toHaveLength(2)
})

test('a wrong option is refused where it is given', () => {
  expect(() => thawMiddleware({ deadlineMarginMillis: Number.NaN })).toThrow('deadlineMarginMillis')
})

test('called several times for one invocation, as for each record of a batch, none ends another', async () => {
  let open = () => {}
  const handler = middy<number, number>()
    .use(thawMiddleware())
    .handler(async (record) => {
      if (record === 1)
        await new Promise<void>((resolve) => {
          open = resolve
        })
      told.push(`handled ${record}`)
      return record
    })
  const shared = context('a')
  const first = handler(1, shared)
  await handler(2, shared)
  open()
  await first
  expect(told).toEqual(['begin a', 'begin a', 'handled 2', 'finish a', 'handled 1', 'finish a'])
})
