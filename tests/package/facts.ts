/** What `consumer/use.cjs` tells of the package where all is well. */

export const FACTS = {
  poolName: 'Pool',
  constructorName: 'Pool',
  isStockPool: true,
  isStockClient: true,
  isDefaultComplete: true,
  isDefaultOurs: true,
  hasTypes: true,
  answer: 'alive',
  isNewConnection: true,
  isAppliedOnce: true,
  thrown: true,
}
