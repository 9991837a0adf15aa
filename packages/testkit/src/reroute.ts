/** The same URL, but for another host and port. Throws, without the text, if it is none: there may be a password in it. */
export function reroute(url: string, host: string, port: number): string {
  if (!URL.canParse(url)) throw new Error('This is no URL. Pass one such as postgres://user@host:5432/database.')
  const rerouted = new URL(url)
  rerouted.hostname = host
  rerouted.port = String(port)
  // In the query they would win over those in front of it, in node-postgres as in libpq. Deleted only if there, because that rewrites the rest.
  for (const name of ['host', 'hostaddr', 'port']) if (rerouted.searchParams.has(name)) rerouted.searchParams.delete(name)
  return rerouted.href
}
