/** Headers of tables without a word in them: a screen reader would announce them as headers all the same. */

/** What is needed of markdown-it's tokens. */
interface Token {
  readonly type: string
  tag: string
  readonly content: string
}

/** A blank header becomes a plain cell; a row of nothing else goes. */
export function withoutBlankHeaders<T extends Token>(tokens: readonly T[]): T[] {
  const kept: T[] = []
  let head: T[] | undefined
  for (const [index, token] of tokens.entries()) {
    if (token.type === 'thead_open') head = []
    if (head) head.push(token)
    else kept.push(token)
    if (token.type === 'th_open' && tokens[index + 1]?.content.trim() === '') {
      token.tag = 'td'
      const close = tokens[index + 2]
      if (close) close.tag = 'td'
    }
    if (token.type !== 'thead_close' || !head) continue
    if (head.some(({ type, content }) => type === 'inline' && content.trim() !== '')) kept.push(...head)
    head = undefined
  }
  return kept
}
