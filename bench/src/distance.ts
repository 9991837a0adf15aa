/** PostgreSQL at a distance: behind a proxy in a process of its own, whose work is not counted as ours. */

import { fork } from 'node:child_process'
import { once } from 'node:events'

/** Run as a process by {@link openDistance}. */
if (process.send && process.argv[2] === 'distance') {
  const { startFaultProxy } = await import('@thaw/testkit')
  const [host = '', port = '', oneWay = ''] = process.argv.slice(3)
  const proxy = await startFaultProxy({ host, port: Number(port) })
  proxy.setDelay({ toServerMillis: Number(oneWay), toClientMillis: Number(oneWay) })
  process.on('disconnect', () => process.exit())
  process.send(proxy.urlFor(`postgres://${host}:${port}/`))
}

export interface Distance extends Disposable {
  /** The same URL, from there. */
  urlFor(url: string): string
}

/** `roundTripMillis` 0: no distance, and nothing between. */
export async function openDistance(server: { readonly host: string; readonly port: number }, roundTripMillis: number): Promise<Distance> {
  if (roundTripMillis === 0) return { urlFor: (url) => url, [Symbol.dispose]() {} }
  const child = fork(import.meta.filename, ['distance', server.host, String(server.port), String(roundTripMillis / 2)])
  const [there] = (await once(child, 'message')) as [string]
  const { host } = new URL(there)
  return {
    urlFor: (url) => Object.assign(new URL(url), { host }).href,
    [Symbol.dispose]: () => child.disconnect(),
  }
}
