/** The loop inside a function's process: asks for work, calls the handler, posts the answer. The contract of AWS's own, without its compiler. */

import { Agent, request } from 'node:http'
import { pathToFileURL } from 'node:url'
import { isMainThread, Worker } from 'node:worker_threads'
import { createResponseStream, defineGlobals, type Handler, isStreaming, refuseCallbacks } from './lambda-handler.ts'

interface Answer {
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

const [address = '', [file = '', exportName = '']] = [process.env.AWS_LAMBDA_RUNTIME_API, process.argv.slice(2)]
const BASE = `http://${address}/2018-06-01/runtime`
const JSON_TYPE = { 'content-type': 'application/json' }
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
const isManaged = process.env.AWS_LAMBDA_MAX_CONCURRENCY !== undefined

if (isManaged && isMainThread) startThreads(Number(process.env.AWS_LAMBDA_NODEJS_WORKER_COUNT))
else await run()

function startThreads(count: number): void {
  for (let thread = 0; thread < count; thread++) new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) })
}

async function run(): Promise<void> {
  const handler = await load().catch(async (error: unknown) => {
    await call('POST', '/init/error', JSON_TYPE, report(error))
    process.exit(1)
  })
  for (;;) {
    const work = await call('GET', '/invocation/next')
    const served = serve(handler, work)
    // A managed instance asks for more at once; the platform counts.
    if (!isManaged) await served
  }
}

async function load(): Promise<Handler> {
  defineGlobals()
  const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>
  const handler = module[exportName] ?? (module['default'] as Record<string, unknown> | undefined)?.[exportName]
  if (typeof handler !== 'function') {
    throw Object.assign(new Error(`${file} exports no function "${exportName}"`), { name: 'Runtime.HandlerNotFound' })
  }
  refuseCallbacks(handler as Handler)
  return handler as Handler
}

async function serve(handler: Handler, { headers, body }: Answer): Promise<void> {
  const id = String(headers['lambda-runtime-aws-request-id'])
  const deadlineAt = Number(headers['lambda-runtime-deadline-ms'])
  const context = {
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: id,
    getRemainingTimeInMillis: () => deadlineAt - Date.now(),
  }
  try {
    const event: unknown = JSON.parse(body)
    if (isStreaming(handler)) return await stream(handler, event, context, id)
    const result = await handler(event, context)
    await call('POST', `/invocation/${id}/response`, JSON_TYPE, JSON.stringify(result === undefined ? null : result))
  } catch (error) {
    await call('POST', `/invocation/${id}/error`, JSON_TYPE, report(error))
  }
}

/** The response is sent while the handler runs. A failure after it has begun is reported in its trailers. */
async function stream(handler: Handler, event: unknown, context: object, id: string): Promise<void> {
  const outgoing = request(`${BASE}/invocation/${id}/response`, {
    method: 'POST',
    agent,
    headers: {
      'lambda-runtime-function-response-mode': 'streaming',
      'transfer-encoding': 'chunked',
      trailer: 'Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body',
    },
  })
  const posted = new Promise<void>((resolve, reject) => {
    outgoing.on('response', (response) => response.resume().on('end', resolve)).on('error', reject)
  })
  const responseStream = createResponseStream(outgoing)
  try {
    await handler(event, responseStream, context)
    if (!responseStream.writableEnded) throw new Error('Response stream is not finished.')
  } catch (error) {
    responseStream.fail(report(error))
  }
  await posted
}

function report(error: unknown): string {
  const { name = 'Error', message = String(error), stack = '' } = error instanceof Error ? error : {}
  return JSON.stringify({ errorType: name, errorMessage: message, trace: stack.split('\n') })
}

function call(method: string, path: string, headers: Record<string, string> = {}, body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${BASE}${path}`, { method, agent, headers }, async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      resolve({ headers: response.headers, body: text })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
