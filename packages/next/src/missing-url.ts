/** A pool that was not told where its database is says so when it is used. node-postgres would try this machine. */

import { OptionError, systemClock } from '@thaw/core'
import { builtin, type Socket } from './builtin.ts'

interface Runtime {
  readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> }
}

/** Is a `connectionString` given, but empty, and nothing else that names a host? */
export function isMissing(config: { connectionString?: unknown; host?: unknown }): boolean {
  const { process } = globalThis as Runtime
  return 'connectionString' in config && !config.connectionString && !config.host && !process?.env?.['PGHOST']
}

/**
 * node-postgres asks for a socket here when it connects. It gets one that fails, but not at once: with Cache Components, `next build` calls
 * handlers and pages, and postpones those that wait for something outside.
 */
export function refuseToDial(): Socket {
  const net = builtin('node:net')
  if (!net) throw noUrl()
  const socket = new net.Socket()
  socket.connect = () => {
    systemClock.setTimer(() => socket.destroy(noUrl()), 0)
    return socket
  }
  return socket
}

function noUrl(): OptionError {
  return new OptionError({
    option: 'connectionString',
    allowed: 'a URL of PostgreSQL',
    message:
      'The pool has no connectionString. Is DATABASE_URL set? Write DATABASE_URL=postgres://user:password@host/database into .env.local, and into the settings of the host you deploy to.',
  })
}
