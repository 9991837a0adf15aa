/**
 * Does a pool connect through Hyperdrive, Cloudflare's pooler? `Flush` is not reliable there, so reads carry no probe unless
 * `piggybackProbe: true` asks for it.
 *
 * https://github.com/porsager/postgres/pull/736, https://github.com/cloudflare/cloudflare-docs/pull/33555: drivers that send `Flush` within
 * a statement are not cached, and sometimes hang.
 */

/** workerd gives each binding its own host below this name, in `wrangler dev` too. */
const HOST = /\.hyperdrive\.local(?=[:/?]|$)/

export function leadsToHyperdrive({ connectionString, host }: { readonly connectionString?: unknown; readonly host?: unknown }): boolean {
  return [connectionString, host].some((text) => typeof text === 'string' && HOST.test(text))
}
