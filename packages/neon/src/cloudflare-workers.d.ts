/** The slice of the runtime's own module that is used here. `@cloudflare/workers-types` would bring globals that are not those of Node. */
declare module 'cloudflare:workers' {
  /** The bindings of the Worker. Some may not be read in the global scope. */
  export const env: object
}
