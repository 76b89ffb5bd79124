// Latencies in logarithmic buckets, 2 % wide, from 0.1 us to 100 s. The error of a percentile (1 %)
// is far below the difference between two rounds. Recording allocates nothing.

const GROWTH = 1.02
const VALUE_MIN_US = 0.1
const VALUE_MAX_US = 100e6
const BUCKETS_PER_E = 1 / Math.log(GROWTH)
const BUCKET_COUNT = Math.ceil(Math.log(VALUE_MAX_US / VALUE_MIN_US) * BUCKETS_PER_E) + 1

export class Histogram {
  readonly counts = new Float64Array(BUCKET_COUNT)
  total = 0
  longestUs = 0

  record(valueUs: number): void {
    this.counts[bucketOf(valueUs)] += 1
    this.total += 1
    if (valueUs > this.longestUs) this.longestUs = valueUs
  }

  // The middle of the bucket that holds the sample of this rank, microseconds; 0 without samples.
  percentileUs(percent: number): number {
    let left = Math.max(1, Math.ceil((this.total * percent) / 100))
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket += 1) {
      left -= this.counts[bucket]
      if (left <= 0) return VALUE_MIN_US * GROWTH ** (bucket + 0.5)
    }
    return 0
  }
}

function bucketOf(valueUs: number): number {
  if (!(valueUs > VALUE_MIN_US)) return 0
  const bucket = Math.floor(Math.log(valueUs / VALUE_MIN_US) * BUCKETS_PER_E)
  return Math.min(bucket, BUCKET_COUNT - 1)
}
