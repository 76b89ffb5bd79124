// Value sizes as in production, drawn from published distributions.

export type Draw = () => number

/**
 * Meta's ETC pool (Atikoglu and others, "Workload analysis of a large-scale key-value store",
 * 2012): values above 15 bytes follow a generalised Pareto with scale 214.476 and shape 0.348238. A
 * few small sizes make up one value in twenty.
 */
export function etcSizes(random: Draw): Draw {
  const SCALE = 214.476
  const SHAPE = 0.348238
  const SMALL_SHARE = 0.05
  const SMALL = [2, 4, 8, 11, 14]
  return () => {
    if (random() < SMALL_SHARE) return SMALL[Math.floor(random() * SMALL.length)]
    const bytes = 15 + (SCALE / SHAPE) * ((1 - random()) ** -SHAPE - 1)
    return Math.min(Math.floor(bytes), VALUE_BYTES_MAX)
  }
}

/**
 * Twitter's clusters (Yang and others, "A large-scale analysis of hundreds of in-memory key-value
 * cache clusters at Twitter", 2020): the mean object has less than 100 bytes in a quarter of the
 * clusters and 230 in the median one. Drawn as a mixture of clusters whose values are log-normal
 * around such means.
 */
export function twitterSizes(random: Draw): Draw {
  const CLUSTER_MEANS = [35, 60, 90, 130, 180, 230, 300, 420, 800, 2500]
  const SIGMA = 0.6
  return () => {
    const mean = CLUSTER_MEANS[Math.floor(random() * CLUSTER_MEANS.length)]
    const bytes = mean * Math.exp(SIGMA * normal(random) - (SIGMA * SIGMA) / 2)
    return Math.min(Math.max(1, Math.round(bytes)), VALUE_BYTES_MAX)
  }
}

/**
 * From 32 bytes to 32 KiB, log-uniform: both papers show this range across applications, as when
 * many of them share one cache.
 */
export function wideSizes(random: Draw): Draw {
  const LEAST = 32
  const RANGE = 1024
  return () => Math.floor(LEAST * RANGE ** random())
}

/** Longer values are cut to this: servers refuse values above their item limit. */
const VALUE_BYTES_MAX = 500_000

/** Standard normal, by Box and Muller. */
function normal(random: Draw): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
