/** Runs once when the server starts, in a module graph of its own. */
export async function register(): Promise<void> {
  // In this form bundlers leave it out of what they make for Edge.
  if (process.env.NEXT_RUNTIME === 'nodejs') {
    const { thaw } = await import('./lib/db.ts')
    await thaw.query('SELECT 1')
  }
}
