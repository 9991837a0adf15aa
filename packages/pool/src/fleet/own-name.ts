/**
 * What the user calls the application, wherever it is said: as pg and the server would have it. The name that a driver falls back to by itself (Neon's is 40
 * bytes long) is not the user's.
 */

/** pg's own names. */
export interface NameSources {
  readonly application_name?: string | undefined
  readonly fallback_application_name?: string | undefined
  /** Options of the server's command line, which the server reads before what pg says. */
  readonly options?: string | undefined
}

/** pg's own: what a client says of itself in its first message. */
export interface Named {
  readonly connectionParameters?: { application_name?: string }
}

const IN_OPTIONS = /(?:^|\s)(?:-c\s*|--)application[_-]name=((?:\\.|[^\s\\])*)/gi

/** The first that is given, as in pg. Undefined: none is. */
export function ownName({ application_name, fallback_application_name, options }: NameSources): string | undefined {
  const last = [...(options ?? '').matchAll(IN_OPTIONS)].at(-1)?.[1]
  return application_name || fallback_application_name || last?.replace(/\\(.)/g, '$1') || undefined
}
