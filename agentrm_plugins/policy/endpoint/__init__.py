"""One model API endpoint: rates, buckets, closures, concurrency, latency, what errors mean."""
