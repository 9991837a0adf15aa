/**
 * How an open connection is cut. Chosen by what the two ends see, since that is all a client can go by.
 *
 * - `fin`: the client gets a FIN now, as from a server that closes. Nothing else ever follows, whatever the client sends.
 * - `rst`: the client gets an RST now, as from a firewall that rejects.
 * - `fin-on-next-byte`, `rst-on-next-byte`: nothing now; the client's next bytes are lost and answered by FIN or RST, as by a host that
 *   restarted or a NAT that forgot the connection while the client was frozen.
 * - `drop`: silence both ways, forever. Bytes are swallowed, and neither side is told. New connections work.
 */
export type CutKind = 'fin' | 'rst' | 'fin-on-next-byte' | 'rst-on-next-byte' | 'drop'

/** What can strike a connection: a cut, or one of the faults that wait for their victim. */
export type FaultKind = CutKind | 'deaf' | 'lost-request' | 'lost-answer'

/** What a client sees when a fault strikes in the middle of a request. */
export type SuddenCut = 'fin' | 'rst' | 'drop'

/** What becomes of the connection to the server: closed at once, or held open in silence until the proxy closes. */
export type ServerSide = 'close' | 'hold'
