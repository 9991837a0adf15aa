/** `1 row`, `2 rows`, `2 crashes`. */
export function plural(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`
  return `${count} ${noun}${noun.endsWith('sh') ? 'es' : 's'}`
}
