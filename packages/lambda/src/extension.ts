/**
 * An internal extension: a part of this process that Lambda notifies of invocations. Because there is one, Lambda sends SIGTERM before it
 * ends the process (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html).
 */

import { Agent, type IncomingHttpHeaders, request } from 'node:http'

/** What Lambda sends to an extension. */
export interface ExtensionEvent {
  readonly eventType: string
  readonly requestId: string
}

export interface Extension {
  /** Resolves with the next event, however long that takes. Asking for it says that we are done with the last one. */
  next(): Promise<ExtensionEvent>
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/**
 * Registers with the API at `address`, before the first invocation: Lambda accepts no extension later.
 *
 * @throws if Lambda refuses, with its reason.
 */
export async function registerExtension(address: string, name: string, events: readonly string[]): Promise<Extension> {
  const agent = new Agent({ keepAlive: true })
  // No timeout: the answer may take hours. And not by fetch, which has a timeout.
  const call = (method: string, path: string, headers: Record<string, string>, body = '') =>
    new Promise<Answer>((resolve, reject) => {
      const url = `http://${address}/2020-01-01/extension/${path}`
      const outgoing = request(url, { method, agent, headers }, async (response) => {
        let text = ''
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        resolve({ status: response.statusCode, headers: response.headers, body: text })
      })
      outgoing.on('error', reject)
      // If the module runs outside the runtime, this request must not keep the process alive.
      if (method === 'GET') outgoing.on('socket', (socket) => socket.unref())
      outgoing.end(body)
    })
  const { status, headers, body } = await call('POST', 'register', { 'lambda-extension-name': name }, JSON.stringify({ events }))
  const id = headers['lambda-extension-identifier']
  if (status !== 200 || typeof id !== 'string') throw new Error(`Lambda did not register the extension "${name}" (${status}): ${body}`)
  return {
    async next() {
      const answer = await call('GET', 'event/next', { 'lambda-extension-identifier': id })
      if (answer.status !== 200) throw new Error(`Lambda sent the extension "${name}" no event (${answer.status}): ${answer.body}`)
      return JSON.parse(answer.body) as ExtensionEvent
    },
  }
}
