/**
 * The severity of an ErrorResponse. Drivers built on node-postgres' code report only the field S, which is in the server's language; they
 * drop the field V, which is not. So the words for ERROR are listed: any other word may mean FATAL, in a language or from a pooler that we
 * do not know.
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

/** Connection exception, system error, internal error: with these a proxy may say ERROR and then close the connection. */
const TROUBLE = /^(?:08|58|XX)/

/**
 * May the connection end with this message, so that it answers no statement? True for anything that does not say ERROR; and for ERROR with
 * the codes above, or with those that end sessions.
 */
export function mayEndSession(message: object): boolean {
  return !saysError(message) || classify(message)?.ends === true || TROUBLE.test(codeOf(message) ?? '')
}
