import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the platform gives to a runtime that asks for work. */
export interface LambdaWork {
  readonly requestId: string
  /** Milliseconds since the epoch. */
  readonly deadlineAt: number
  /** The event, as JSON. */
  readonly body: string
}

/** What the platform does when the function's process calls it. Each call is one request to the API. */
export interface LambdaApiHost {
  readonly functionName: string
  readonly handler: string
  /** The runtime asks for work, and waits until `give` is called. */
  next(give: (work: LambdaWork) => void): void
  /** An answer begins. */
  answer(requestId: string, answer: IncomingMessage): Promise<void>
  failed(requestId: string, report: string): void
  initFailed(report: string): void
  /** Returns why not, or nothing. */
  register(extensionId: string, events: readonly string[]): string | undefined
  /** An extension asks for its next event, and waits until `give` is called. False: there is no extension with that id. */
  nextEvent(extensionId: string, give: (work: LambdaWork) => void): boolean
}

/** The server of both APIs, on 127.0.0.1. */
export interface LambdaApi {
  /** `host:port`, as `AWS_LAMBDA_RUNTIME_API` has it. */
  readonly address: string
  close(): Promise<void>
}

const RUNTIME = '/2018-06-01/runtime'
const EXTENSION = '/2020-01-01/extension'
const ARN = 'arn:aws:lambda:us-east-1:000000000000:function:'

/**
 * Serves the Runtime API (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) and the part of the Extensions API
 * (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html) that an internal extension may use.
 */
export async function serveLambdaApi(host: LambdaApiHost): Promise<LambdaApi> {
  const server = createServer((request, response) => {
    route(host, request, response).catch((error: unknown) => reply(response, 500, { errorMessage: String(error) }))
  })
  // A request for the next event is held until there is one.
  Object.assign(server, { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0, timeout: 0 })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function route(host: LambdaApiHost, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { url = '', method } = request
  const [, requestId = '', act] = /^\/2018-06-01\/runtime\/invocation\/([^/]+)\/(response|error)$/.exec(url) ?? []
  if (method === 'GET' && url === `${RUNTIME}/invocation/next`) return host.next((work) => giveWork(response, host, work))
  if (method === 'GET' && url === `${EXTENSION}/event/next`) return nextEvent(host, request, response)
  if (method !== 'POST') return reply(response, 404, { errorMessage: `There is no ${method} ${url}.` })
  if (act === 'response') {
    await host.answer(requestId, request)
    return reply(response, 202, { status: 'OK' })
  }
  const body = await readAll(request)
  if (url === `${EXTENSION}/register`) return register(host, request, response, body)
  if (act === 'error') host.failed(requestId, body)
  else if (url === `${RUNTIME}/init/error`) host.initFailed(body)
  else return reply(response, 404, { errorMessage: `There is no POST ${url}.` })
  reply(response, 202, { status: 'OK' })
}

function giveWork(response: ServerResponse, { functionName }: LambdaApiHost, work: LambdaWork): void {
  response.writeHead(200, {
    'content-type': 'application/json',
    'lambda-runtime-aws-request-id': work.requestId,
    'lambda-runtime-deadline-ms': String(work.deadlineAt),
    'lambda-runtime-invoked-function-arn': ARN + functionName,
  })
  response.end(work.body)
}

function register(host: LambdaApiHost, request: IncomingMessage, response: ServerResponse, body: string): void {
  const { events = [] } = JSON.parse(body || '{}') as { events?: string[] }
  const extensionId = randomUUID()
  const refusal = request.headers['lambda-extension-name'] ? host.register(extensionId, events) : 'Extension.MissingName'
  if (refusal) return reply(response, 403, { errorType: refusal, errorMessage: `This extension cannot be registered: ${refusal}.` })
  response.setHeader('lambda-extension-identifier', extensionId)
  reply(response, 200, { functionName: host.functionName, functionVersion: '$LATEST', handler: host.handler })
}

function nextEvent(host: LambdaApiHost, request: IncomingMessage, response: ServerResponse): void {
  const known = host.nextEvent(String(request.headers['lambda-extension-identifier']), ({ requestId, deadlineAt }) =>
    reply(response, 200, { eventType: 'INVOKE', deadlineMs: deadlineAt, requestId, invokedFunctionArn: ARN + host.functionName }),
  )
  if (!known) reply(response, 403, { errorType: 'Extension.InvalidExtensionIdentifier', errorMessage: 'Register first.' })
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text
}
