/** A pooler in transaction mode that is as rude as those that exist. */

import { createServer, type Socket } from 'node:net'
import pg from 'pg'
import { findFreePort } from './free-port.ts'
import { int32, message, READY, ReadyFinder } from './pooler-messages.ts'
import { reroute } from './reroute.ts'

/** How to start a pooler. */
export interface PoolerOptions {
  /** How many sessions it has at the server. Default: 1, so that a busy client makes all others wait. */
  readonly sessions?: number
}

/** A pooler between clients and a real server. */
export interface Pooler extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** The same URL, through the pooler. */
  urlFor(url: string): string
  /** Clients that have logged in so far. */
  readonly logins: number
  /** Sessions that it has opened at the server so far. */
  readonly sessionsOpened: number
  /** Bytes that it has dropped, because they followed a Sync in the same chunk. */
  readonly bytesDropped: number
  /** Disconnects every client, and resolves when its sessions have ended. Safe to call twice. */
  close(): Promise<void>
}

interface Session {
  readonly stream: Socket
  readonly client: pg.Client
  readonly finder: ReadyFinder
  /** The client whose transaction it serves. */
  user: Socket | undefined
}

const SSL_REQUEST = 80877103
const CANCEL_REQUEST = 80877102
const SYNC = 0x53
const TERMINATE = 0x58

/**
 * Starts a pooler on 127.0.0.1 in front of `target`. Like Supavisor, it looks at what it has read from a client chunk by chunk: a chunk
 * that begins with Sync, while the client has no session at the server, is answered by the pooler itself, and what follows the Sync is
 * dropped. Like every pooler in transaction mode, it accepts each client at once (here without a password), makes up the pid that it
 * reports, and assigns one of its few sessions for one transaction at a time, in the order of the requests.
 */
export async function startPooler(target: { readonly url: string }, { sessions: most = 1 }: PoolerOptions = {}): Promise<Pooler> {
  const counts = { logins: 0, sessionsOpened: 0, bytesDropped: 0 }
  let standing = 0
  const sessions: Session[] = []
  const waiting: { readonly user: Socket; readonly chunks: Buffer[] }[] = []
  const users = new Set<Socket>()

  const sessionOf = (user: Socket) => sessions.find((session) => session.user === user)

  const serveNext = (session: Session) => {
    session.user = undefined
    const next = waiting.shift()
    if (!next) return
    session.user = next.user
    for (const chunk of next.chunks) session.stream.write(chunk)
  }

  const discard = (session: Session) => {
    const index = sessions.indexOf(session)
    if (index === -1) return
    sessions.splice(index, 1)
    standing--
    if (waiting.length > 0) void open()
  }

  const open = async () => {
    counts.sessionsOpened++
    standing++
    const client = new pg.Client(target.url)
    client.on('error', () => {})
    await client.connect()
    const { stream } = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection
    stream.removeAllListeners('data')
    const session: Session = { stream, client, finder: new ReadyFinder(), user: undefined }
    stream.on('data', (chunk) => {
      session.user?.write(chunk)
      if (session.finder.read(chunk) === 'I') serveNext(session)
    })
    // Ended at the server: the client that it serves is disconnected with it, and the next one to ask gets another session.
    stream.once('close', () => {
      const { user } = session
      discard(session)
      user?.destroy()
    })
    sessions.push(session)
    serveNext(session)
  }

  const hear = (user: Socket, chunk: Buffer) => {
    const session = sessionOf(user)
    if (session) return void session.stream.write(chunk)
    const queued = waiting.find((one) => one.user === user)
    if (queued) return void queued.chunks.push(chunk)
    if (chunk[0] === TERMINATE) return void user.end()
    if (chunk[0] === SYNC) {
      counts.bytesDropped += chunk.length - 5
      return void user.write(READY)
    }
    waiting.push({ user, chunks: [chunk] })
    const free = sessions.find((one) => one.user === undefined)
    if (free) serveNext(free)
    else if (standing < most) void open()
  }

  const leave = (user: Socket) => {
    users.delete(user)
    const index = waiting.findIndex((one) => one.user === user)
    if (index !== -1) waiting.splice(index, 1)
    // A transaction whose client has disconnected is rolled back; here together with its session, as by a pooler that cannot know what is
    // going on in it.
    const session = sessionOf(user)
    if (!session) return
    discard(session)
    session.stream.destroy()
  }

  const server = createServer({ noDelay: true }, (user) => {
    users.add(user)
    user.on('error', () => {})
    user.once('close', () => leave(user))
    const greet = (chunk: Buffer) => {
      const code = chunk.readInt32BE(4)
      if (code === CANCEL_REQUEST) return void user.end()
      if (code === SSL_REQUEST) {
        user.once('data', greet)
        return void user.write('N')
      }
      counts.logins++
      user.on('data', (next) => hear(user, next))
      user.write(Buffer.concat([message('R', int32(0)), message('K', int32(420_000_000 + counts.logins, 1)), READY]))
    }
    user.once('data', greet)
  })
  const port = await findFreePort()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))

  const close = async () => {
    server.close()
    waiting.length = 0
    for (const user of users) user.destroy()
    for (const { stream } of sessions.splice(0)) stream.destroy()
  }
  return {
    host: '127.0.0.1',
    port,
    urlFor: (url) => reroute(url, '127.0.0.1', port),
    get logins() {
      return counts.logins
    },
    get sessionsOpened() {
      return counts.sessionsOpened
    },
    get bytesDropped() {
      return counts.bytesDropped
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
