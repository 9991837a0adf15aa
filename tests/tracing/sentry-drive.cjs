/** Collects the transactions of Sentry, in place of sending them. */

exports.drive = function drive(Sentry) {
  const transactions = []
  Sentry.init({
    dsn: 'http://key@127.0.0.1:9/1',
    tracesSampleRate: 1,
    traceLifecycle: 'static',
    transport: () => ({
      send: async ([, items]) => {
        for (const [{ type }, payload] of items) if (type === 'transaction') transactions.push(payload)
        return {}
      },
      flush: async () => true,
    }),
  })
  globalThis.traced = {
    request: (title, work) => Sentry.startSpan({ name: title, forceTransaction: true }, () => work().catch(() => {})),
    async finish() {
      await Sentry.flush(5000)
      return transactions.flatMap(({ transaction, contexts, spans }) => [
        { id: contexts.trace.span_id, name: transaction, isRequest: true, facts: {} },
        ...spans.map(({ span_id: id, parent_span_id: parent, description, op, status, origin, data }) => {
          const { 'sentry.sample_rate': _, ...attributes } = data
          return { id, parent, name: description, isRequest: false, facts: { op, status, origin, attributes } }
        }),
      ])
    },
  }
}
