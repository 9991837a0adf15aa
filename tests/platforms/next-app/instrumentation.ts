/** Runs once when the server starts, in a module graph of its own. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return
  const { thaw } = await import('./lib/db.ts')
  await thaw.query('SELECT 1')
}
