import type { Socket } from 'node:net'

/** Ends the connection with an RST. While its FIN is under way libuv refuses that, and Node would leave the socket open for ever: then it is closed. */
export function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy()
  else socket.resetAndDestroy()
}
