import { createServer, type Server } from 'node:net'
import type { Flow } from './flow.ts'
import { type FlowSetting, LiveFlow } from './live-flow.ts'

/** Where new connections arrive, and the register of those that did. */
export interface Reception {
  /** Whether new connections are met with silence. */
  isDeaf: boolean
  readonly flows: readonly LiveFlow[]
  /** Drops the flows that are over from the register. */
  forgetClosed(): void
  /** Listens, unless it does already. Resolves when it listens, or was shut meanwhile. Rejects if the port is taken, or after `close`. */
  open(port: number): Promise<void>
  /** Stops listening at once. Flows go on. */
  shut(): void
  /** Shuts for good, and resolves when all flows have ended, both sides. */
  close(): Promise<void>
  onFlow(listener: (flow: Flow) => void): () => void
}

interface Door {
  readonly server: Server
  readonly opened: Promise<void>
}

/** Makes a reception that does not listen yet. */
export function createReception(setting: FlowSetting): Reception {
  const listeners = new Set<(flow: Flow) => void>()
  let flows: LiveFlow[] = []
  let door: Door | undefined
  let isClosed = false
  let lastId = 0
  const createDoor = (port: number): Door => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const flow = new LiveFlow(++lastId, client, setting, reception.isDeaf)
      flows.push(flow)
      setting.total.flowsOpened++
      client.once('close', () => setting.total.flowsClosed++)
      for (const listener of listeners) listener(flow)
    })
    return { server, opened: listen(server, port) }
  }
  const reception: Reception = {
    isDeaf: false,
    get flows() {
      return flows
    },
    forgetClosed() {
      flows = flows.filter((flow) => !flow.isOver)
    },
    async open(port) {
      if (isClosed) throw new Error('This proxy is closed, and its flows with it. Start another with startFaultProxy().')
      door ??= createDoor(port)
      const mine = door
      try {
        await mine.opened
      } catch (error) {
        if (door === mine) door = undefined
        throw error
      }
      // Shut while it was about to listen: some versions of Node listen all the same.
      if (door !== mine) mine.server.close()
    },
    shut() {
      door?.server.close()
      door = undefined
    },
    async close() {
      isClosed = true
      reception.shut()
      await Promise.all(flows.map((flow) => flow.destroy()))
    },
    onFlow(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
  return reception
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('close', () => resolve())
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      // A failed accept (no file descriptors left) is the client's problem, not a reason to end the process.
      server.on('error', () => {})
      resolve()
    })
  })
}
