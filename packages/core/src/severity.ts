/**
 * How an ErrorResponse says how bad it is. Drivers made of node-postgres' code give the field S only, which is in the language of the server; the one that
 * is not, V, they drop. So the words for ERROR are listed: whatever is none of them may be FATAL, in a language or by a pooler that we do not know.
 *
 * Sources: https://www.postgresql.org/docs/current/protocol-error-fields.html; msgid "ERROR" in src/backend/po of PostgreSQL 9.6 to 18.
 */

import { classify, codeOf } from './classify.ts'

const ERROR_WORDS: ReadonlySet<unknown> = /* @__PURE__ */ new Set(
  'ERROR ERREUR ERRO ERRORE FEHLER FEL HATA BŁĄD ОШИБКА ПОМИЛКА შეცდომა 오류 错误 錯誤'.split(' '),
)

/** Does it say ERROR, in a language that PostgreSQL speaks? False is not certain. */
export function saysError(message: object): boolean {
  return ERROR_WORDS.has((message as { severity?: unknown }).severity)
}

/** Connection exception, system error, internal error: with these a proxy may say ERROR, and hang up. */
const TROUBLE = /^(?:08|58|XX)/

/** May the connection end with this message, so that it answers no statement? Whatever does not say ERROR; of what does, the codes of trouble, and those that sessions end with. */
export function mayEndSession(message: object): boolean {
  return !saysError(message) || classify(message)?.ends === true || TROUBLE.test(codeOf(message) ?? '')
}
