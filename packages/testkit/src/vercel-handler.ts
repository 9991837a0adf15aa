/** The shapes in which a Vercel function may be exported, made into one. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'

/** What the Node builder makes of all of them. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown

type WebHandler = (request: Request) => Response | Promise<Response>

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
/** As many as Vercel's own launcher unwraps: bundlers nest them. */
const MOST_DEFAULTS = 5

/** Finds the handler among the exports of a module. Throws if there is none. */
export function toNodeHandler(exported: unknown): NodeHandler {
  let found = exported as { readonly default?: unknown }
  for (let depth = 0; depth < MOST_DEFAULTS; depth++) {
    const web = webHandlerOf(found)
    if (web) return (request, response) => answer(web, request, response)
    if (typeof found === 'function') return found as NodeHandler
    if (!found?.default) break
    found = found.default
  }
  throw new Error('The file exports no handler: no default function, no function named GET, POST …, no fetch.')
}

function webHandlerOf(found: object): WebHandler | undefined {
  const named = found as Readonly<Record<string, WebHandler | undefined>>
  if (typeof named['fetch'] === 'function') return (request) => (named as { fetch: WebHandler }).fetch(request)
  if (!METHODS.some((method) => typeof named[method] === 'function')) return undefined
  return async (request) => {
    const handler = named[request.method] ?? (request.method === 'HEAD' ? named['GET'] : undefined)
    return handler ? handler(request) : new Response(null, { status: 405 })
  }
}

async function answer(handler: WebHandler, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { method = 'GET', headers, url = '/' } = incoming
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const request = new Request(new URL(url, `https://${headers.host}`), {
    method,
    headers: Object.entries(headers).flatMap(([name, value]) => [value ?? []].flat().map((one): [string, string] => [name, one])),
    ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: 'half' } : {}),
  })
  // Only the request: Vercel's production bundle passes no second argument.
  const response = await handler(request)
  outgoing.writeHead(response.status, [...response.headers].flat())
  if (response.body && method !== 'HEAD') await pipeline(Readable.fromWeb(response.body as ReadableStream), outgoing)
  else outgoing.end()
}
