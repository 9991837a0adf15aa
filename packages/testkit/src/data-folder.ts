import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NOBODY } from './account.ts'
import { isAlive } from './process-state.ts'

const NAME = /^thaw-postgres-(\d+)-/

/** Makes a folder for one server. The name carries our pid, so that others can tell when it is garbage. */
export async function createDataFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), `thaw-postgres-${process.pid}-`))
}

/**
 * Deletes the folders of processes that are gone. Rarely finds any: a server deletes its own folder when its parent dies,
 * unless it was killed in the same moment.
 */
export async function cleanDataFolders(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => [])
  await Promise.all(names.filter(isGarbage).map((name) => cleanFolder(join(tmpdir(), name))))
}

function isGarbage(name: string): boolean {
  const owner = NAME.exec(name)?.[1]
  return owner !== undefined && !isAlive(Number(owner))
}

async function cleanFolder(path: string): Promise<void> {
  try {
    const { uid } = await lstat(path)
    // /tmp is shared: a name like ours does not prove that the folder is ours.
    const isOurs = uid === process.getuid?.() || (uid === NOBODY && process.getuid?.() === 0)
    if (isOurs) await rm(path, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // Another process cleans up at the same time, or the folder is not ours to delete: ignore both.
  }
}
