const EUROS = new Intl.NumberFormat('en-GB', { style: 'currency', currency: 'EUR' })

export function inEuros(cents: number): string {
  return EUROS.format(cents / 100)
}
