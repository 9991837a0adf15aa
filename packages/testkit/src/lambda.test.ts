import { afterEach, describe, expect, test } from 'vitest'
import { type Lambda, type LambdaOptions, startLambda } from './lambda.ts'
import { LambdaError } from './lambda-answer.ts'
import { isStopped } from './process-state.ts'

const FILE = new URL('../fixtures/lambda-function.ts', import.meta.url)
const GENEROUS = { timeoutMillis: 30_000 }

let lambda: Lambda
afterEach(() => lambda[Symbol.asyncDispose]())

function deploy(options: LambdaOptions = {}): Lambda {
  lambda = startLambda(FILE, { ...GENEROUS, ...options })
  return lambda
}

describe('an invocation', () => {
  test('reaches the same process as the one before, which was frozen meanwhile', async () => {
    deploy({ env: { MARKER: 'set' } })
    const first = await lambda.invoke()
    expect(first).toMatchObject({ invocations: 1, env: 'set', remaining: expect.any(Number) })
    await lambda.whenFrozen()
    expect(lambda.isFrozen).toBe(true)
    expect(await isStopped(lambda.pid)).toBe(true)
    expect(await lambda.invoke()).toMatchObject({ invocations: 2 })
    expect(lambda.coldStarts).toBe(1)
  })

  test('waits for its turn', async () => {
    deploy()
    const answers = await Promise.all([lambda.invoke(), lambda.invoke(), lambda.invoke()])
    expect(answers).toMatchObject([{ invocations: 1 }, { invocations: 2 }, { invocations: 3 }])
  })

  test('fails by what the function threw, and the process goes on', async () => {
    deploy()
    const error = await lambda.invoke({ do: 'throw' }).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(LambdaError)
    expect(error).toMatchObject({ name: 'RangeError', message: 'too far' })
    expect(await lambda.invoke({ do: 'nothing' })).toBeNull()
    expect(lambda.coldStarts).toBe(1)
  })

  test('that takes too long costs the process', async () => {
    deploy({ timeoutMillis: 1000 })
    await lambda.invoke()
    await expect(lambda.invoke({ do: 'hang' })).rejects.toMatchObject({
      name: 'Sandbox.Timedout',
      message: 'Task timed out after 1.00 seconds',
    })
    expect(await lambda.invoke()).toMatchObject({ invocations: 1 })
    expect(lambda.coldStarts).toBe(2)
  })

  test('that ends the process fails, and the next one gets another', async () => {
    deploy()
    await expect(lambda.invoke({ do: 'crash' })).rejects.toMatchObject({
      name: 'Runtime.ExitError',
      message: expect.stringContaining('code 3'),
    })
    expect(await lambda.invoke()).toMatchObject({ invocations: 1 })
  })
})

describe('a module', () => {
  test('without such a handler fails each invocation', async () => {
    deploy({ handler: 'missing' })
    await expect(lambda.invoke()).rejects.toMatchObject({ name: 'Runtime.HandlerNotFound' })
    await expect(lambda.invoke()).rejects.toMatchObject({ name: 'Runtime.HandlerNotFound' })
    expect(lambda.coldStarts).toBe(2)
  })

  test('with a handler of three arguments is refused, as by Node 24 on Lambda', async () => {
    deploy({ handler: 'callback' })
    await expect(lambda.invoke()).rejects.toMatchObject({ name: 'Runtime.CallbackHandlerDeprecated' })
  })
})

describe('a streamed response', () => {
  test('comes piece by piece', async () => {
    deploy({ handler: 'stream' })
    const chunks: string[] = []
    expect(await lambda.invoke({}, { onChunk: (chunk) => chunks.push(chunk) })).toBe('one two')
    expect(chunks).toEqual(['one ', 'two'])
  })

  test('with an HTTP prelude is taken apart', async () => {
    deploy({ handler: 'stream' })
    expect(await lambda.invoke({ do: 'http' })).toEqual({ statusCode: 201, headers: { a: 'b' }, body: 'one two' })
  })

  test('fails in the middle', async () => {
    deploy({ handler: 'stream' })
    await expect(lambda.invoke({ do: 'throw' })).rejects.toMatchObject({ name: 'RangeError' })
    expect(await lambda.invoke()).toBe('one two')
  })
})

describe('the end', () => {
  test('comes without a word to a process that has no extension', async () => {
    deploy()
    await lambda.invoke()
    await lambda.whenFrozen()
    expect(await lambda.shutdown()).toEqual({ signals: ['SIGKILL'], end: { code: null, signal: 'SIGKILL' } })
    expect(await lambda.invoke()).toMatchObject({ invocations: 1 })
  })

  test('is announced to one that has, frozen though it is', async () => {
    deploy({ env: { EXTENSION: 'none' }, shutdownMillis: 30_000 })
    await lambda.invoke()
    await lambda.whenFrozen()
    expect(await lambda.shutdown()).toEqual({ signals: ['SIGTERM'], end: { code: 0, signal: null } })
  })

  test('comes all the same to one that does not go', async () => {
    deploy({ env: { EXTENSION: 'none', STUBBORN: '1' } })
    await lambda.invoke()
    expect(await lambda.shutdown()).toMatchObject({ signals: ['SIGTERM', 'SIGKILL'] })
  })
})

describe('an extension', () => {
  test('hears of each invocation, and holds up the freeze until it asks for the next', async () => {
    deploy({ env: { EXTENSION: 'INVOKE' } })
    await lambda.invoke()
    await lambda.invoke()
    await lambda.whenFrozen()
    expect(lambda.stdout.match(/event INVOKE/g)).toHaveLength(2)
  })

  test('inside the process cannot ask for SHUTDOWN', async () => {
    deploy({ env: { EXTENSION: 'SHUTDOWN' } })
    await lambda.invoke()
    expect(lambda.stdout).toContain('registered 403')
  })
})

describe('a managed instance', () => {
  test('takes several invocations at once in each of its threads, and is never frozen', async () => {
    deploy({ maxConcurrency: 4, threads: 2 })
    const threads = (await Promise.all([lambda.invoke(), lambda.invoke()])) as { thread: number }[]
    expect(new Set(threads.map(({ thread }) => thread)).size).toBe(2)
    await lambda.whenFrozen()
    expect(lambda.isFrozen).toBe(false)
    // Of three, two are in the same thread; the third waits for a fourth.
    const meetings = [1, 2, 3].map(() => lambda.invoke({ do: 'meet' }))
    await Promise.race(meetings)
    await lambda.shutdown()
    await Promise.allSettled(meetings)
  })
})
